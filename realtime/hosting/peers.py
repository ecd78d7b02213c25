"""The other nodes, as far as they are heard."""

from collections.abc import Callable

ALIVE_SECONDS = 1.0
"""Each node says so often that it is there."""
LOST_SECONDS = 3.0
"""Who has not said so for this long is gone, or cut off."""
MISSED_SECONDS = 300.0
"""So long after that, what it may still be writing is looked for in the log."""


class Peers:
    """`time` is monotonic, in seconds."""

    def __init__(self, time: Callable[[], float]):
        self._time = time
        self._heard: dict[str, float] = {}
        self._lost: dict[str, float] = {}

    def __len__(self) -> int:
        """How many others there are."""
        return len(self._heard)

    def __contains__(self, node: str) -> bool:
        return node in self._heard

    def alive(self, node: str, *, leaving: bool) -> bool:
        """Returns whether the node has come, or come back."""
        came = not leaving and node not in self._heard
        self._lost.pop(node, None)
        if leaving:
            self._heard.pop(node, None)
        else:
            self._heard[node] = self._time()
        return came

    def expire(self) -> list[str]:
        """Those who have fallen silent since the last call."""
        now = self._time()
        silent = [node for node, at in self._heard.items() if at + LOST_SECONDS < now]
        for node in silent:
            del self._heard[node]
            self._lost[node] = now
        self._lost = {node: at for node, at in self._lost.items() if at + MISSED_SECONDS > now}
        return silent

    @property
    def missed(self) -> bool:
        """Whether somebody has fallen silent lately without a word: perhaps only the broker does not hear them."""
        return bool(self._lost)
