"""What is looked up before a command is decided."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from rooms import commands as c
from rooms.decide import Facts, Needs, Release, needs
from rooms.effects import Pending
from rooms.room import Message, Person, Room
from tests.rooms.stage import NOW, Stage, user

PENDING = Pending(id="p", room="r1", kind="held", actor=user("bob"), at=NOW, text="hi @eve", reply_to=7)
NOBODY = Needs()


def forgetful() -> Room:
    room = Room("r1")
    room.whole = False
    return room


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (c.MessageSend(room="r1", text="x"), {}),
        (c.MessageSend(room="r1", text="@bob", reply_to=5), {"messages": {5}, "names": {"bob"}}),
        (c.MessageEdit(room="r1", target=5, text="@bob"), {"messages": {5}, "names": {"bob"}}),
        (c.MessageDelete(room="r1", target=5), {"messages": {5}}),
        (c.MessageReact(room="r1", target=5, emoji="👍"), {"messages": {5}}),
        (c.MessageUnreact(room="r1", target=5, emoji="👍"), {"messages": {5}}),
        (c.MessagePin(room="r1", target=5), {"messages": {5}}),
        (c.MessageUnpin(room="r1", target=5), {"messages": {5}}),
        (c.ReportCreate(room="r1", target=5, reason="x"), {"messages": {5}}),
        (c.ReportCreate(room="r1", user="bob", reason="x"), {}),
        (c.MemberRole(room="r1", user="bob", role="member"), {"people": {"ann", "bob"}}),
        (c.MemberMute(room="r1", user="bob"), {"people": {"ann", "bob"}}),
        (c.MemberUnmute(room="r1", user="bob"), {"people": {"ann", "bob"}}),
        (c.MemberKick(room="r1", user="bob"), {"people": {"ann", "bob"}}),
        (c.MemberUnban(room="r1", user="bob"), {"people": {"ann", "bob"}}),
        (c.MemberBan(room="r1", user="bob"), {"people": {"ann", "bob"}}),
        (
            c.MemberBan(room="r1", user="bob", purge_seconds=60),
            {"people": {"ann", "bob"}, "purge": ("bob", NOW - 60_000)},
        ),
        (c.MemberJoin(room="r1"), {}),
        (c.MemberLeave(room="r1"), {}),
        (c.InviteAccept(code="x"), {"invite": "x"}),
        (c.InviteCreate(room="r1"), {}),
        (c.RoomUpdate(room="r1"), {}),
        (c.MessageApprove(room="r1", pending="p"), {"pending": "p"}),
        (c.MessageDeny(room="r1", pending="p"), {"pending": "p"}),
        (Release(PENDING), {"people": {"ann", "bob"}, "messages": {7}, "names": {"eve"}}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else "",
)
def test_what_a_command_needs(command: Any, expected: dict[str, Any]) -> None:
    found = structs.asdict(needs(forgetful(), "ann", command, NOW))
    assert found == structs.asdict(NOBODY) | {"people": {"ann"}} | expected


def test_an_approval_needs_the_author_once_the_message_is_known() -> None:
    need = needs(forgetful(), "mod", c.MessageApprove(room="r1", pending="p"), NOW, Facts(pending=PENDING))
    assert need == Needs(frozenset({"mod", "bob"}), frozenset({7}), frozenset({"eve"}), pending="p")


def test_what_is_at_hand_is_not_looked_up() -> None:
    room = forgetful()
    room.know_person("ann", Person(user="ann", name="Ann"))
    room.know_person("bob", None)
    room.know_message(5, None)
    assert needs(room, "ann", c.MemberMute(room="r1", user="bob"), NOW) == NOBODY
    assert needs(room, "ann", c.MessageDelete(room="r1", target=5), NOW) == NOBODY


def test_a_whole_room_needs_nobody() -> None:
    room = Stage().room
    assert needs(room, "stranger", c.MemberMute(room="r1", user="bob"), NOW) == NOBODY
    assert needs(room, "stranger", c.MessageDelete(room="r1", target=5), NOW) == NOBODY


def test_an_edit_needs_what_the_edited_message_answers() -> None:
    room = forgetful()
    by = Stage().room.by(user("ann"))
    room.know_message(9, Message(pos=9, at=NOW, by=by, n=2, text="x", reply_to=5))
    assert needs(room, "ann", c.MessageEdit(room="r1", target=9, text="y"), NOW).messages == {5}
