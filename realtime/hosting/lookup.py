"""What a batch of commands must know of its room and the room does not know yet, from the store."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from realtime import ports
from realtime.hosting.entry import Entry
from rooms.decide import MAX_PURGE, NOTHING, Facts, needs
from rooms.ids import Millis
from rooms.mentions import Named
from rooms.room import Room

NO_FACTS = Facts()


async def look_up(store: ports.Store, room: Room, batch: Sequence[Entry], now: Millis) -> Mapping[Entry, Facts]:
    """Makes the room know what the batch needs; returns the rest, a command each. What a message quotes is known only
    once the message is: a second round asks for that. Raises Unavailable.
    """
    asking = [entry for entry in batch if needs(room, entry.actor.user, entry.command, now) is not NOTHING]
    facts = {entry: await _own(store, room, entry, now) for entry in asking}
    named = Named()
    for turn in range(2):
        wanted = [needs(room, entry.actor.user, entry.command, now, facts[entry]) for entry in asking]
        people = frozenset().union(*(need.people for need in wanted))
        messages = frozenset().union(*(need.messages for need in wanted))
        names = frozenset().union(*(need.names for need in wanted)) if turn == 0 else frozenset()
        if not (people or messages or names):
            break
        found = await store.find(room.id, people=people, messages=messages, names=names)
        named = found.named if names else named
        for user, person in found.people.items():
            room.know_person(user, person)
        for pos, message in found.messages.items():
            room.know_message(pos, message)
    return {entry: replace(own, named=named) for entry, own in facts.items()}


async def _own(store: ports.Store, room: Room, entry: Entry, now: Millis) -> Facts:
    """What only this command needs."""
    need = needs(room, entry.actor.user, entry.command, now)
    if not any((need.invite, need.pending, need.purge, need.stream, need.recording)):
        return NO_FACTS
    found = await store.find(
        room.id,
        invite=need.invite,
        pending=need.pending,
        purge=need.purge,
        purge_limit=MAX_PURGE,
        stream=need.stream,
        recording=need.recording,
    )
    return Facts(
        invite=found.invite,
        pending=found.pending,
        purge=found.purge,
        stream=found.stream,
        recording=found.recording,
    )
