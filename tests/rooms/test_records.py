"""What the incentive engine learns of a room."""

from typing import Any

import msgspec
import pytest

from rooms import commands as c
from rooms.effects import Report
from rooms.records import Record, of_event, of_report
from tests.rooms.stage import NOW, Stage, user

OLGA, ANN, BOB = user("olga"), user("ann"), user("bob")


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.join(ANN, BOB)
    stage.send(ANN, "first")
    return stage


def told(stage: Stage, actor: Any, command: Any) -> list[dict[str, Any]]:
    """The records of one command, without what is the same in all; messages of this room are Ann's."""
    records = [record for event in stage.do(actor, command).events for record in of_event(event, "ann")]
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.id.startswith(f"r1/{record.pos}/")
        assert (record.room, record.at, record.user) == ("r1", stage.now - 1_000, actor.user)
    gone = ("id", "room", "at", "user", "pos")
    return [{k: v for k, v in msgspec.to_builtins(record).items() if k not in gone} for record in records]


def target(**more: Any) -> dict[str, Any]:
    return {"room": "r1", "target": 4, **more}


REACT = {"emoji": "👍"}
SANCTIONED = {"kind": "sanction", "to": "ann"}


@pytest.mark.parametrize(
    ("actor", "command", "records"),
    [
        (BOB, c.MessageSend(room="r1", text="hi"), [{"kind": "message"}]),
        (
            BOB,
            c.MessageSend(room="r1", text="@ann @olga", reply_to=4),
            [
                {"kind": "message"},
                {"kind": "reply", "to": "ann", "target": 4},
                {"kind": "mention", "to": "ann"},
                {"kind": "mention", "to": "olga"},
            ],
        ),
        (ANN, c.MessageEdit(**target(text="new")), [{"kind": "edit", "target": 4}]),
        (OLGA, c.MessageDelete(**target()), [{"kind": "delete", "to": "ann", "target": 4}]),
        (BOB, c.MessageReact(**target(**REACT)), [{"kind": "react", "to": "ann", "target": 4, "what": "👍"}]),
        (OLGA, c.MessagePin(**target()), [{"kind": "pin", "to": "ann", "target": 4}]),
        (user("eve"), c.MemberJoin(room="r1"), [{"kind": "join"}]),
        (BOB, c.MemberLeave(room="r1"), [{"kind": "leave"}]),
        (OLGA, c.MemberMute(room="r1", user="ann"), [{**SANCTIONED, "what": "mute"}]),
        (OLGA, c.MemberKick(room="r1", user="ann"), [{**SANCTIONED, "what": "kick"}]),
        (OLGA, c.MemberBan(room="r1", user="ann"), [{**SANCTIONED, "what": "ban"}]),
        (
            OLGA,
            c.MemberBan(room="r1", user="ann", purge_seconds=60),
            [{**SANCTIONED, "what": "ban"}, {"kind": "delete", "to": "ann", "target": 4}],
        ),
        (OLGA, c.MemberRole(room="r1", user="ann", role="moderator"), []),
        (OLGA, c.RoomUpdate(room="r1", title="New"), []),
        (OLGA, c.RoomClose(room="r1"), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_records_of_a_command(stage: Stage, actor: Any, command: Any, records: list[Any]) -> None:
    assert told(stage, actor, command) == records


def test_taking_a_reaction_back(stage: Stage) -> None:
    stage.do(BOB, c.MessageReact(**target(**REACT)))
    expected = [{"kind": "unreact", "to": "ann", "target": 4, "what": "👍"}]
    assert told(stage, BOB, c.MessageUnreact(**target(**REACT))) == expected


def test_the_making_of_a_room(stage: Stage) -> None:
    assert list(of_event(stage.log[0], None)) == [
        Record(id="r1/1/0", kind="room", room="r1", pos=1, at=NOW, user="olga")
    ]


def test_a_report() -> None:
    report = Report(id="x", room="r1", by="ann", at=NOW, reason="spam", target=4, user="bob", text="secret")
    record = of_report(report)
    assert record == Record(
        id="r1/report/x", kind="report", room="r1", at=NOW, user="ann", to="bob", target=4, what="spam"
    )


def test_records_carry_no_text(stage: Stage) -> None:
    command = c.MessageSend(room="r1", text="a secret @ann")
    assert "secret" not in repr(told(stage, BOB, command))


def test_records_leave_out_what_they_do_not_have() -> None:
    record = Record(id="i", kind="join", room="r1", pos=2, at=NOW, user="ann")
    expected = {"id": "i", "kind": "join", "room": "r1", "pos": 2, "at": NOW, "user": "ann"}
    assert msgspec.json.decode(msgspec.json.encode(record)) == expected
