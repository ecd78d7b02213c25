"""How a room is run: its making, settings, roles, sanctions, reports."""

from typing import Any

import pytest

from rooms import commands as c
from rooms import events as e
from rooms.actors import Role
from rooms.decide import Decision, Moment, decide
from rooms.drafts import Draft, Verdict
from rooms.effects import AddReport, KeepOwner
from rooms.errors import Rejected
from rooms.room import Room
from rooms.settings import Settings, SettingsPatch
from tests.rooms.stage import ALLOW, NOW, ROOT, Stage, check_sound, user

OLGA, MOD, ANN, BOB = user("olga"), user("mod"), user("ann"), user("bob")


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.join(MOD, ANN)
    stage.promote(MOD, "moderator")
    return stage


def create(**fields: Any) -> c.RoomCreate:
    return c.RoomCreate(**{"kind": "group", "title": "Title", "visibility": "public"} | fields)


def outcome(command: c.RoomCreate, actor: Any = OLGA, verdict: Verdict | None = ALLOW, room: Room | None = None) -> Any:
    return decide(room or Room("r1"), actor, command, Moment(now=NOW, verdict=verdict))


def updated(**settings: Any) -> c.RoomUpdate:
    return c.RoomUpdate(room="r1", settings=SettingsPatch(**settings))


def test_creating_answers_with_the_room_and_its_full_settings() -> None:
    decision = outcome(create(kind="live", settings=SettingsPatch(slow_seconds=3)))
    info = e.RoomInfo("r1", "live", "Title", "public", Settings(write="everyone", slow_seconds=3))
    assert decision.reply == {"room": info}
    assert not decision.pos
    (event,) = decision.events
    assert (event.pos, event.at, event.by.role, event.room_info) == (1, NOW, "owner", info)


def test_a_title_is_judged_first() -> None:
    draft = outcome(create(title="Hi"), verdict=None)
    assert draft == Draft("title", "r1", "olga", Role.OWNER, "Hi", "default")
    assert outcome(create(), verdict=Verdict("mask", "p", text="•••••")).events[0].room_info.title == "•••••"


@pytest.mark.parametrize(("action", "code"), [("block", "blocked"), ("bounce", "bounced"), ("hold", "bounced")])
def test_a_title_that_the_policy_refuses(action: Any, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        outcome(create(), verdict=Verdict(action, "p", reason="Because."))
    assert (refused.value.code, refused.value.message, refused.value.field) == (code, "Because.", "title")


@pytest.mark.parametrize(
    ("command", "actor", "code", "field"),
    [
        (create(room="mine"), OLGA, "forbidden", "room"),
        (create(settings=SettingsPatch(policy="none")), OLGA, "forbidden", "policy"),
        (create(title="\u3164"), OLGA, "bad_request", "title"),
        (create(title="two\nlines"), OLGA, "bad_request", "title"),
        (create(title="two\u2028lines"), OLGA, "bad_request", "title"),
    ],
)
def test_rooms_that_are_not_made(command: c.RoomCreate, actor: Any, code: str, field: str) -> None:
    with pytest.raises(Rejected) as refused:
        outcome(command, actor)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_admins_choose_ids_and_the_policy() -> None:
    assert isinstance(outcome(create(room="r1", settings=SettingsPatch(policy="none")), ROOT), Decision)


def test_an_id_that_is_taken(stage: Stage) -> None:
    with pytest.raises(Rejected) as refused:
        outcome(create(room="r1"), ROOT, room=stage.room)
    assert (refused.value.code, refused.value.field) == ("exists", "room")


def test_updating_tells_only_what_changes(stage: Stage) -> None:
    (event,) = stage.do(OLGA, c.RoomUpdate(room="r1", title="New", settings=SettingsPatch(locked=True))).events
    assert event.changes == e.RoomChanges(title="New", settings=SettingsPatch(locked=True))  # type: ignore[union-attr]  # an update
    (event,) = stage.do(OLGA, updated(locked=True, unique=True)).events
    assert event.changes == e.RoomChanges(settings=SettingsPatch(unique=True))  # type: ignore[union-attr]  # an update
    assert (stage.room.title, stage.room.settings) == ("New", Settings(locked=True, unique=True))
    assert stage.do(OLGA, c.RoomUpdate(room="r1", title="New")).reply == {"duplicate": True}


@pytest.mark.parametrize("name", ["write", "policy", "entitlement"])
def test_moderators_may_say_again_what_owners_have_set(stage: Stage, name: str) -> None:
    same = {name: getattr(stage.room.settings, name)}
    assert not stage.do(MOD, updated(**same, unique=True)).reply


@pytest.mark.parametrize("seconds", [None, 60])
def test_a_mute(stage: Stage, seconds: int | None) -> None:
    now = stage.now
    (event,) = stage.do(MOD, c.MemberMute(room="r1", user="ann", seconds=seconds, reason="spam")).events
    end = now + 60_000 if seconds else None
    by = stage.room.by(MOD)
    assert event == e.MemberMuted(
        room="r1", pos=event.pos, at=now, by=by, user="ann", name="Ann", until=end, reason="spam"
    )
    refusal = stage.refusal(ANN, c.MessageSend(room="r1", text="x"))
    assert (refusal.code, refusal.retry_after_ms) == ("muted", 59_000 if seconds else None)
    assert refusal.retry == (seconds is not None)


@pytest.mark.parametrize(
    "command", [c.MemberUnmute(room="r1", user="ann"), c.MemberUnban(room="r1", user="ann")], ids=str
)
def test_taking_back_what_is_not_there_is_a_duplicate(stage: Stage, command: Any) -> None:
    assert stage.do(MOD, command).reply == {"duplicate": True}


def test_an_expired_sanction_is_not_there(stage: Stage) -> None:
    stage.do(MOD, c.MemberMute(room="r1", user="ann", seconds=1))
    stage.now += 1_000
    assert stage.do(MOD, c.MemberUnmute(room="r1", user="ann")).reply == {"duplicate": True}


SANCTIONS = (c.MemberMute, c.MemberUnmute, c.MemberKick, c.MemberBan)
RANKS = ("none", "member", "moderator", "owner")


@pytest.mark.parametrize("command", SANCTIONS)
@pytest.mark.parametrize("target", RANKS)
@pytest.mark.parametrize(("actor", "allowed"), [("moderator", 2), ("owner", 3), ("admin", 4)])
def test_sanctions_reach_those_below_ones_own_rank(command: Any, target: str, actor: str, allowed: int) -> None:
    stage = Stage()
    acting, other = user("acting", admin=actor == "admin"), user("other")
    stage.join(acting, other)
    if actor != "admin":
        stage.promote(acting, actor)
    if target == "none":
        stage.do(other, c.MemberLeave(room="r1"))
    elif target != "member":
        stage.promote(other, target)
    if RANKS.index(target) < allowed:
        stage.do(acting, command(room="r1", user="other"))
    else:
        refusal = stage.refusal(acting, command(room="r1", user="other"))
        assert (refusal.code, refusal.field) == ("forbidden", "user")
    check_sound(stage)


@pytest.mark.parametrize("command", [c.MemberKick, c.MemberBan])
def test_nobody_sends_the_only_owner_away(stage: Stage, command: Any) -> None:
    refusal = stage.refusal(ROOT, command(room="r1", user="olga"))
    assert (refusal.code, refusal.field) == ("forbidden", "user")
    stage.promote(ANN, "owner")
    assert stage.do(ROOT, command(room="r1", user="olga")).effects == (KeepOwner("olga"),)
    check_sound(stage)


def test_nobody_bans_themselves() -> None:
    stage = Stage()
    granted = user("greta", granted={"r1": "owner"})
    for actor in (ROOT, granted):
        refusal = stage.refusal(actor, c.MemberBan(room="r1", user=actor.user))
        assert (refusal.code, refusal.field) == ("forbidden", "user")


def test_nobody_unmutes_themselves() -> None:
    stage = Stage()
    granted = user("greta", granted={"r1": "moderator"})
    stage.do(OLGA, c.MemberMute(room="r1", user="greta"))
    refusal = stage.refusal(granted, c.MemberUnmute(room="r1", user="greta"))
    assert (refusal.code, refusal.field) == ("forbidden", "user")
    assert stage.refusal(granted, c.MessageSend(room="r1", text="hello")).code == "muted"


def test_nobody_is_kicked_who_was_never_there(stage: Stage) -> None:
    refusal = stage.refusal(MOD, c.MemberKick(room="r1", user="bob"))
    assert (refusal.code, refusal.field) == ("not_found", "user")


def test_a_ban_takes_the_latest_messages_along(stage: Stage) -> None:
    old = stage.send(ANN)
    stage.now += 60_000
    gone = [stage.send(ANN) for _ in range(3)]
    kept = stage.send(MOD)
    stage.do(ANN, c.MessageDelete(room="r1", target=gone[1]))
    banned = stage.room.pos + 1
    events = stage.do(MOD, c.MemberBan(room="r1", user="ann", purge_seconds=30)).events
    assert [type(event) for event in events] == [e.MemberBanned, e.MessageDeleted, e.MessageDeleted]
    assert [event.pos for event in events] == [banned, banned + 1, banned + 2]
    assert {event.target for event in events[1:]} == {gone[0], gone[2]}  # type: ignore[union-attr]  # deletions
    texts = {pos: message.text for pos, message in stage.room.messages.items() if message}
    assert texts == {old: "hello", kept: "hello"} | dict.fromkeys(gone)


def test_roles(stage: Stage) -> None:
    role = c.MemberRole
    assert stage.refusal(OLGA, role(room="r1", user="bob", role="member")).code == "not_member"
    assert stage.do(OLGA, role(room="r1", user="ann", role="member")).reply == {"duplicate": True}
    refusal = stage.refusal(OLGA, role(room="r1", user="olga", role="member"))
    assert (refusal.code, refusal.field) == ("forbidden", "role")
    stage.do(OLGA, role(room="r1", user="ann", role="owner"))
    assert stage.do(OLGA, role(room="r1", user="olga", role="member")).effects == (KeepOwner("olga"),)
    assert stage.room.staff == {"ann": Role.OWNER, "mod": Role.MODERATOR}
    check_sound(stage)


def test_a_report_is_kept_with_whom_it_concerns(stage: Stage) -> None:
    pos = stage.send(ANN)
    decision = stage.do(BOB, c.ReportCreate(room="r1", target=pos, reason="spam", text="see"))
    (effect,) = decision.effects
    assert isinstance(effect, AddReport)
    assert (effect.report.by, effect.report.target, effect.report.user, effect.report.text) == (
        "bob",
        pos,
        "ann",
        "see",
    )
    assert decision.reply == {"report": effect.report.id}
    assert not decision.events
    stage.do(BOB, c.ReportCreate(room="r1", user="ann", reason="spam"))
    stage.do(BOB, c.ReportCreate(room="r1", reason="the room itself"))


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"reason": "x", "target": 1}, "not_found", "target"),
        ({"reason": "x", "target": 99}, "not_found", "target"),
        ({"reason": "\u200b", "user": "ann"}, "bad_request", "reason"),
        ({"reason": "x", "user": "ann", "text": "\x00"}, "bad_request", "text"),
    ],
)
def test_reports_that_are_not_taken(stage: Stage, fields: Any, code: str, field: str) -> None:
    refusal = stage.refusal(BOB, c.ReportCreate(room="r1", **fields))
    assert (refusal.code, refusal.field) == (code, field)


def test_what_one_may_not_read_one_cannot_report() -> None:
    stage = Stage(history="from_join")
    pos = stage.send(OLGA)
    stage.join(ANN)
    assert stage.refusal(ANN, c.ReportCreate(room="r1", target=pos, reason="x")).code == "not_found"


@pytest.mark.parametrize(
    "command",
    [
        c.MemberMute(room="r1", user="ann", reason="\x00"),
        c.MemberKick(room="r1", user="ann", reason="\u200b"),
        c.MemberBan(room="r1", user="ann", reason="\u0301" * 20),
    ],
    ids=str,
)
def test_reasons_are_texts_too(stage: Stage, command: Any) -> None:
    refusal = stage.refusal(MOD, command)
    assert (refusal.code, refusal.field) == ("bad_request", "reason")
