"""What leaves the log behind this process's back (`galaxy-live db prune`): its rooms take note of it.

Whoever reads the log finds at once that it does not reach as far back as was thought. What is given from memory is
whole whatever has gone meanwhile, but of before that: so all rooms are looked after from time to time.
"""

from collections.abc import Sequence

from realtime import ports
from realtime.fanout.rings import Rings
from realtime.hosting.host import Host

TOGETHER = 500
"""Rooms asked after in one read."""


class Retention:
    def __init__(self, store: ports.Store, rings: Rings):
        self._store = store
        self._rings = rings

    async def check(self, hosts: Sequence[Host]) -> None:
        """The rooms know from now on where their logs begin. Raises Unavailable."""
        for start in range(0, len(hosts), TOGETHER):
            some = {host.room.id: host for host in hosts[start : start + TOGETHER]}
            for room, first_pos in (await self._store.first_positions(some)).items():
                if first_pos > some[room].first_pos:
                    some[room].pruned(first_pos)
                    self._rings.drop(room)  # it quotes what has gone
