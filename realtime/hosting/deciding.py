"""A room's commands on their way together, from the inbox to the log."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from realtime.hosting.entry import Entry
from rooms.decide import Decision, Facts
from rooms.effects import Effect, SpaceMessages
from rooms.errors import Rejected
from rooms.room import Person, Room


class Deciding(Struct):
    """Commands on their way together. Each is in at most one of `decided` and `refused`, and in neither while it waits
    for its verdict.
    """

    entries: list[Entry]
    facts: Mapping[Entry, Facts] | None = None
    """None: not looked up, as for most nothing need be."""
    ahead: Room | None = None
    """The room as it will be once all that is decided is written."""
    decided: list[tuple[Entry, Decision]] = []
    refused: list[tuple[Entry, Rejected]] = []


def note_pace(room: Room, effects: Sequence[Effect]) -> None:
    """A message that waits has no event yet, but slow mode counts from it."""
    for effect in effects:
        if isinstance(effect, SpaceMessages):
            person = room.people.get(effect.user) or Person(user=effect.user, name=effect.user)
            room.know_person(effect.user, replace(person, last_at=max(person.last_at, effect.at)))
