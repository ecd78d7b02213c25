"""A private room that one may not see is like a room that is not there: in the answer, and in the queries behind it."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from realtime.auth import Identity, Tickets
from realtime.gateway.admission import Admission
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from tests.support.forms import JSON_LINES, JsonLines
from tests.support.service import NOTHING_BOUND, make_service

OWNER = Actor(user="owner", name="Owner")
STRANGERS = {
    "a stranger": Actor(user="stranger", name="Stranger"),
    "one with a role elsewhere": Actor(user="other", name="Other", granted={"elsewhere": "owner"}),
    "a former member": Actor(user="left", name="Left"),
    "a kicked member": Actor(user="kicked", name="Kicked"),
    "a banned member": Actor(user="banned", name="Banned"),
    "a banned one whose token grants a role": Actor(user="banned", name="Banned", granted={"secret": "owner"}),
}
VALUES: dict[str, Any] = {
    "user": "owner",
    "text": "hello",
    "target": 2,
    "emoji": "👍",
    "role": "member",
    "code": "nonsense",
    "pending": "nonsense",
    "query": "hello",
    "pos": 1,
    "reason": "spam",
}
COMMANDS = [
    command
    for command in get_args(c.AnyCommand)
    if "room" in command.__struct_fields__ and command not in (c.RoomCreate, c.RoomLeave, c.RoomJoin)
]


class Listening:
    """Somebody who tries to listen."""

    unsent = 0
    lagging = False
    connection = None

    def __init__(self, actor: Actor):
        self.actor = actor
        self.user = actor.user
        self.heard: list[bytes] = []

    @property
    def form(self) -> JsonLines:
        return JSON_LINES

    def out(self, frames: bytes) -> None:
        self.heard.append(frames)

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        self.heard.append(msgspec.json.encode(notice))

    def too_slow(self) -> None:
        raise AssertionError("nothing is slow here")


class House:
    """A service with one private room, and a record of the SQL that reading it ran."""

    def __init__(self, folder: Path):
        self.clock = itertools.count(1_700_000_000_000, 1_000).__next__
        self.sql: list[str] = []
        self.store = SQLiteStore(folder / "galaxy.db", self.clock, trace=self.sql.append)
        self.service = self._service()
        self.room = ""

    def _service(self) -> Service:
        return make_service(self.store, self.clock)

    async def furnish(self) -> None:
        # Not `service.start`: what it does by the clock would stand among the queries.
        await self.store.open()
        made = await self.service.answer(OWNER, c.RoomCreate(kind="group", title="Secret", visibility="private"))
        self.room = made["room"].id
        await self.service.answer(OWNER, c.MessageSend(room=self.room, text="hello"))
        code = (await self.service.answer(OWNER, c.InviteCreate(room=self.room)))["code"]
        for user in ("left", "kicked", "banned"):
            await self.service.answer(Actor(user=user, name=user), c.InviteAccept(code=code))
        await self.service.answer(Actor(user="left", name="left"), c.MemberLeave(room=self.room))
        await self.service.answer(OWNER, c.MemberKick(room=self.room, user="kicked"))
        await self.service.answer(OWNER, c.MemberBan(room=self.room, user="banned"))

    def forget(self) -> None:
        """As after a restart: no room is at hand."""
        self.service.directory.hosts.clear()

    async def attempt(self, actor: Actor, command: Any) -> tuple[dict[str, Any], list[str]]:
        """The error that a command gets, and the SQL that it ran."""
        self.sql.clear()
        with pytest.raises(Rejected) as caught:
            await self.act(actor, command)
        return caught.value.reply(7), list(self.sql)

    async def act(self, actor: Actor, command: Any) -> None:
        if isinstance(command, c.TicketCreate):
            await self.ticket(actor, command)
        elif isinstance(command, c.RoomJoin):
            await self.service.joining.join(command, Listening(actor), lambda _: None)
        else:
            await self.service.answer(actor, command)

    async def ticket(self, actor: Actor, command: c.TicketCreate) -> None:
        identity = Identity(user=actor.user, name=actor.name, expires_ms=2_000_000_000_000)
        admission = Admission(None, Tickets(b"0" * 32), self.service, self.clock)  # type: ignore[arg-type]  # no tokens here
        await admission.ticket(identity, command)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()
    yield house
    await house.service.close()


def instance(kind: type[Any], room: str) -> Any:
    """A command of this kind with all it requires."""
    fields = {f.name: VALUES.get(f.name) for f in msgspec.structs.fields(kind) if f.required and f.name != "room"}
    return kind(room=room, **fields)


@pytest.mark.parametrize("at_hand", [True, False], ids=["room at hand", "room not loaded"])
@pytest.mark.parametrize("kind", [*COMMANDS, c.RoomJoin], ids=lambda kind: kind.__struct_config__.tag)
async def test_not_yours_is_not_there(house: House, kind: type[Any], at_hand: bool) -> None:
    for who, actor in STRANGERS.items():
        if not at_hand:
            house.forget()
        absent = await house.attempt(actor, instance(kind, "no-such-room"))
        hidden = await house.attempt(actor, instance(kind, house.room))
        assert hidden == absent, f"{who} can tell"
        assert hidden[0]["code"] == "not_found"
        assert hidden[1], "the store was not asked"


async def test_members_do_get_in(house: House) -> None:
    """The test above can fail: the same commands have other answers for who belongs."""
    for kind in COMMANDS:
        try:
            await house.act(OWNER, instance(kind, house.room))
        except Rejected as rejected:
            assert rejected.message != "There is no such room."


async def test_lists_and_counts_tell_strangers_nothing(house: House) -> None:
    for actor in STRANGERS.values():
        rooms = await house.service.answer(actor, c.RoomList())
        popular = await house.service.answer(actor, c.RoomList(sort="popular"))
        mine = await house.service.answer(actor, c.RoomList(mine=True))
        reads = await house.service.answer(actor, c.ReadList())
        assert rooms["rooms"] == popular["rooms"] == mine["rooms"] == reads["rooms"] == []


async def test_wrong_invite_codes_are_limited(house: House, tmp_path: Path) -> None:
    actor = STRANGERS["a stranger"]
    guarded = make_service(
        house.store, house.clock, bounds=msgspec.structs.replace(NOTHING_BOUND, invite_guesses_per_minute=3)
    )
    codes = []
    for guess in range(5):
        with pytest.raises(Rejected) as caught:
            await guarded.answer(actor, c.InviteAccept(code=f"guess-{guess}"))
        codes.append(caught.value.code)
    assert codes == ["not_found"] * 3 + ["rate_limited"] * 2
