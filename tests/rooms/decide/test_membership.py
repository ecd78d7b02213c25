"""Who belongs: joining, leaving, invites."""

from typing import Any

import pytest

from rooms import commands as c
from rooms import events as e
from rooms.actors import Role
from rooms.effects import KeepOwner, UseInvite
from rooms.settings import SettingsPatch
from tests.rooms.stage import NOW, ROOT, Stage, check_sound, user

OLGA, MOD, ANN, BOB = user("olga"), user("mod"), user("ann"), user("bob")


def settings(**changes: Any) -> c.RoomUpdate:
    return c.RoomUpdate(room="r1", settings=SettingsPatch(**changes))


JOIN, LEAVE = c.MemberJoin(room="r1"), c.MemberLeave(room="r1")


def accept(stage: Stage) -> c.InviteAccept:
    return c.InviteAccept(code=next(reversed(stage.invites)))


def test_joining_once() -> None:
    stage = Stage()
    (event,) = stage.do(ANN, JOIN).events
    assert isinstance(event, e.MemberJoined)
    assert (event.user, event.name, event.by.id) == ("ann", "Ann", "ann")
    assert stage.do(ANN, JOIN).reply == {"duplicate": True}
    assert stage.room.members == 2


def test_invite_only() -> None:
    stage = Stage(invite_only=True)
    refusal = stage.refusal(ANN, JOIN)
    assert (refusal.code, refusal.field) == ("forbidden", "invite_only")
    stage.do(user("ann", granted={"r1": "member"}), JOIN)
    stage.do(OLGA, c.InviteCreate(room="r1"))
    stage.do(BOB, accept(stage))
    check_sound(stage)


def test_members_of_public_groups_invite_also_where_only_the_invited_may_join() -> None:
    stage = Stage(invite_only=True)
    stage.join(ANN)
    stage.do(ANN, c.InviteCreate(room="r1"))
    stage.do(BOB, accept(stage))
    assert stage.room.role(BOB) is Role.MEMBER


@pytest.mark.parametrize("command", [JOIN, c.InviteAccept(code="id2")], ids=["join", "accept"])
def test_lockdown_lets_nobody_in_but_whom_the_app_makes_a_moderator(command: Any) -> None:
    stage = Stage()
    stage.do(OLGA, c.InviteCreate(room="r1"))
    stage.do(OLGA, settings(locked=True))
    assert stage.refusal(ANN, command).code == "locked"
    stage.do(user("greta", granted={"r1": "moderator"}), command)


def test_an_invite_opens_a_private_room() -> None:
    stage = Stage(visibility="private")
    assert stage.refusal(ANN, JOIN).code == "not_found"
    assert stage.do(OLGA, c.InviteCreate(room="r1")).reply == {"code": "id3"}
    decision = stage.do(ANN, accept(stage))
    assert decision.reply == {"room": "r1"}
    assert decision.effects == (UseInvite("id3", stage.now - 1_000),)
    assert stage.room.role(ANN) is Role.MEMBER


def test_accepting_again_uses_nothing_up() -> None:
    stage = Stage(visibility="private")
    stage.do(OLGA, c.InviteCreate(room="r1", uses=2))
    stage.do(ANN, accept(stage))
    assert stage.do(ANN, accept(stage)).reply == {"room": "r1", "duplicate": True}
    stage.do(BOB, accept(stage))
    assert stage.refusal(MOD, accept(stage)).code == "not_found"


def test_invites_end() -> None:
    stage = Stage(visibility="private")
    start = stage.now
    stage.do(OLGA, c.InviteCreate(room="r1", seconds=60))
    (invite,) = stage.invites.values()
    assert (invite.until, invite.uses, invite.by) == (start + 60_000, None, "olga")
    stage.now = start + 59_999
    stage.do(ANN, accept(stage))
    stage.now = start + 60_000
    assert stage.refusal(BOB, accept(stage)).code == "not_found"


def test_revoked_and_guessed_invites_are_not_there() -> None:
    stage = Stage(visibility="private")
    stage.do(OLGA, c.InviteCreate(room="r1"))
    code = next(iter(stage.invites))
    stage.do(OLGA, c.InviteRevoke(room="r1", code=code))
    for guess in (code, "guessed"):
        assert stage.refusal(ANN, c.InviteAccept(code=guess)).code == "not_found"


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_a_ban_beats_an_invite(visibility: str) -> None:
    stage = Stage(visibility=visibility)
    stage.do(OLGA, c.InviteCreate(room="r1"))
    stage.do(OLGA, c.MemberBan(room="r1", user="ann", seconds=60))
    refusal = stage.refusal(ANN, accept(stage))
    told = ("not_found", None) if visibility == "private" else ("banned", 59_000)
    assert (refusal.code, refusal.retry_after_ms) == told
    stage.now = NOW + 3_600_000
    stage.do(ANN, accept(stage))


def test_leaving() -> None:
    stage = Stage()
    assert stage.refusal(ANN, LEAVE).code == "not_member"
    assert stage.refusal(user("ann", granted={"r1": "owner"}), LEAVE).code == "not_member"
    assert stage.refusal(ROOT, LEAVE).code == "not_member"
    stage.join(ANN)
    stage.do(ANN, LEAVE)
    assert stage.refusal(ANN, LEAVE).code == "not_member"
    check_sound(stage)


def test_the_last_owner_stays() -> None:
    stage = Stage()
    stage.join(ANN)
    assert stage.refusal(OLGA, LEAVE).code == "forbidden"
    stage.promote(ANN, "owner")
    assert stage.do(OLGA, LEAVE).effects == (KeepOwner("olga"),)
    assert stage.refusal(ANN, LEAVE).code == "forbidden"
    check_sound(stage)


def test_a_closed_room_can_be_left_but_not_joined() -> None:
    stage = Stage()
    stage.join(ANN)
    stage.do(OLGA, c.InviteCreate(room="r1"))
    stage.do(OLGA, c.RoomClose(room="r1"))
    for command in (JOIN, accept(stage)):
        refusal = stage.refusal(BOB, command)
        assert (refusal.code, refusal.field) == ("forbidden", "closed")
    stage.do(ANN, LEAVE)


def test_a_platform_admin_may_become_a_member() -> None:
    stage = Stage(visibility="private", invite_only=True)
    stage.do(ROOT, JOIN)
    assert stage.room.members == 2
    assert stage.room.staff == {"olga": Role.OWNER}
    stage.do(ROOT, LEAVE)
    check_sound(stage)
