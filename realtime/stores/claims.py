"""Idempotency keys within one transaction of the writer: looked up together, written together."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from realtime.ports import KeyClaim
from rooms.ids import Millis

if TYPE_CHECKING:
    from realtime.stores.statements import Statements

Name = tuple[str, str, str]
"""Key, user and scope."""


class Claims:
    """What this transaction claims. A key that was not named to `expect` is claimed by a statement of its own."""

    def __init__(self, sql: "Statements"):
        self._sql = sql
        self._free: set[Name] = set()
        self._gathered: dict[Name, tuple[Any, ...]] = {}

    def expect(self, keys: Iterable[KeyClaim]) -> None:
        """Looks up which of the keys are free, so that `take` need not ask for each."""
        names = [_name(key) for key in keys]
        if len(names) > 1:
            taken = self._sql.claimed(names)
            self._free = set(names).difference(taken, self._gathered)

    def take(self, key: KeyClaim, reply: str, at: Millis, *, gather: bool) -> bool:
        """Claims the key for this reply (JSON). Returns False where it is claimed already.

        `gather`: it may be written later, by `flush`. Otherwise it is written here, within the caller's savepoint.
        """
        name = _name(key)
        row = (*name, key.body, reply, at)
        if name in self._free:
            self._free.remove(name)
            if gather:
                self._gathered[name] = row
                return True
        self.flush()
        return self._sql.claim(row)

    def flush(self) -> None:
        if self._gathered:
            self._sql.add_keys(list(self._gathered.values()))
            self._gathered.clear()


def _name(key: KeyClaim) -> Name:
    return key.key, key.user, key.scope
