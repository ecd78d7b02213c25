"""What the writer's hot path asks of a database, each in that database's own quickest way (docs/decisions/0003)."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from realtime.stores.claims import Name

Row = tuple[Any, ...]


class Statements(Protocol):
    """The statements of one transaction. Rows hold a table's columns in their order, where nothing else is said."""

    def rooms(self, ids: Sequence[str]) -> Iterable[Row]:
        """Id, number, `pos`, `rules_pos`, `n` and `last_at` of the rooms that there are. Nobody else changes them until
        the transaction ends.
        """

    def claimed(self, names: Sequence[Name]) -> Iterable[Row]:
        """Those of the keys that are claimed."""

    def claim(self, key: Row) -> bool:
        """Claims a key. Returns False where it is claimed already."""

    def add_keys(self, keys: Sequence[Row]) -> None:
        """Claims keys that `claimed` did not return."""

    def save_rooms(self, heads: Sequence[Row]) -> None:
        """Rows as `Head.saved` gives them."""

    def add_users(self, users: Sequence[Row]) -> None:
        """Id, name, casefolded name and avatar; a name that is stored stays."""

    def add_events(self, events: Sequence[Row]) -> None: ...

    def add_messages(self, messages: Sequence[Row]) -> None:
        """Without `edited_at`. A search finds them, at the latest when it has had `index` called."""

    def add_mentions(self, mentions: Sequence[Row]) -> None: ...

    def add_writers(self, writers: Sequence[Row]) -> None:
        """Who has sent a message: room, user, `last_at`, `read_pos`, `read_n`; one row a room and user."""

    def mark_read(self, marks: Sequence[tuple[int, str, int]]) -> None:
        """Raises read positions of members: room, user, position."""

    def add_records(self, lists: Sequence[str]) -> None:
        """Each list (JSON) becomes a row of the outbox, in order; called once, at the end."""

    def index(self) -> None:
        """Brings the full-text index up to date, so that `reword` may be called."""

    def reword(self, num: int, pos: int, old: str, new: str | None) -> None:
        """Replaces a message's words in the full-text index, or takes them out."""

    def forget_words(self, num: int, texts: Sequence[tuple[int, str]]) -> None:
        """Takes the words of messages (position and text), which are then removed, out of the full-text index."""

    def finish(self) -> None:
        """To be called when all else but records has been written."""
