"""Epochs: under one epoch of a room no position ever stands for two events."""

import secrets
import string
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, select, update

from realtime.stores.schema import rooms

if TYPE_CHECKING:
    from realtime.stores.common import SQLStore
    from realtime.stores.transaction import Transaction

TOGETHER = 500
"""Rooms in one transaction."""

_ALPHABET = string.ascii_letters + string.digits


def new_epoch() -> str:
    """16 random letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


async def renew(store: "SQLStore", room: str | None = None) -> int:
    """Gives every room, or one, a new epoch. Returns how many there were. While servers run they go on under the old
    epochs. Raises Unavailable; some rooms may then have theirs.
    """
    renewed = after = 0
    while found := await store.read(partial(_next, room=room, after=after)):
        await store.run(partial(_renew, nums=found))
        renewed += len(found)
        after = found[-1]
    return renewed


def _next(connection: Connection, room: str | None, after: int) -> list[int]:
    query = select(rooms.c.num).where(rooms.c.num > after).order_by(rooms.c.num).limit(TOGETHER)
    return list(connection.execute(query if room is None else query.where(rooms.c.id == room)).scalars())


def _renew(tx: "Transaction", nums: list[int]) -> None:
    tx.core.execute(
        update(rooms).where(rooms.c.num == bindparam("room")).values(epoch=bindparam("new")),
        [{"room": num, "new": new_epoch()} for num in nums],
    )
