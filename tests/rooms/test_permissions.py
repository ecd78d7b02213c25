"""Who may what: docs/protocol.md's table, written down once more, against every command in every kind of room.

Columns of TABLE: who only listens, member, moderator, owner, platform admin (no member). `.` is allowed.
"""

from typing import Any, NamedTuple, get_args

import pytest

from rooms import commands as c
from rooms.actors import Actor
from rooms.drafts import Verdict
from rooms.effects import Recording
from rooms.errors import Rejected
from rooms.permissions import authorize
from rooms.settings import SettingsPatch
from tests.rooms.stage import ROOT, Stage, user

ROLES = ("none", "member", "moderator", "owner", "admin")

TABLE = """
room.join            .           .          .          .          .
room.leave           .           .          .          .          .
room.events          .           .          .          .          .
message.list         .           .          .          .          .
message.search       .           .          .          .          .
pending.list         .           .          .          .          .
presence.get         .           .          .          .          .
ticket.create        .           .          .          .          .
read.mark            .           .          .          .          .
report.create        .           .          .          .          .
member.join          .           .          .          .          .
invite.accept        .           .          .          .          .
typing               write       .          .          .          .
message.send         write       .          .          .          .
edit.own             write       .          .          .          .
delete.own           write       .          .          .          .
message.react        write       .          .          .          .
message.unreact      write       .          .          .          .
edit.other           write       forbidden  forbidden  forbidden  forbidden
delete.other         write       forbidden  .          .          .
member.list          not_member  .          .          .          .
member.leave         not_member  .          .          .          not_member
invite.create        not_member  invite     .          .          .
invite.list          forbidden   forbidden  .          .          .
invite.revoke        forbidden   forbidden  .          .          .
message.pin          forbidden   forbidden  .          .          .
message.unpin        forbidden   forbidden  .          .          .
message.approve      forbidden   forbidden  .          .          .
message.deny         forbidden   forbidden  .          .          .
member.mute          forbidden   forbidden  .          .          .
member.unmute        forbidden   forbidden  .          .          .
member.kick          forbidden   forbidden  .          .          .
member.ban           forbidden   forbidden  .          .          .
member.unban         forbidden   forbidden  .          .          .
update.slow_seconds  forbidden   forbidden  .          .          .
update.locked        forbidden   forbidden  .          .          .
update.history       forbidden   forbidden  .          .          .
update.write         forbidden   forbidden  forbidden  .          .
update.entitlement   forbidden   forbidden  forbidden  .          .
update.title         forbidden   forbidden  forbidden  .          .
update.policy        forbidden   forbidden  forbidden  forbidden  .
member.role          forbidden   forbidden  forbidden  .          .
room.close           forbidden   forbidden  forbidden  .          .
live.start           forbidden   forbidden  forbidden  live       live
live.stop            forbidden   forbidden  forbidden  .          .
live.get             forbidden   forbidden  forbidden  .          .
live.key             forbidden   forbidden  forbidden  .          .
live.takedown        forbidden   forbidden  forbidden  forbidden  .
recording.list       .           .          .          .          .
recording.update     forbidden   forbidden  forbidden  .          .
recording.delete     forbidden   forbidden  forbidden  .          .
"""
ROWS = {line.split()[0]: dict(zip(ROLES, line.split()[1:], strict=True)) for line in TABLE.split("\n") if line}

WRITES = {
    "typing", "message.send", "edit.own", "edit.other", "delete.own", "delete.other", "message.react",
    "message.unreact",
}  # fmt: skip
READS = {
    "room.join", "room.leave", "room.events", "message.list", "message.search", "pending.list", "presence.get",
    "ticket.create", "read.mark", "member.list", "invite.list", "live.get", "recording.list",
}  # fmt: skip
"""What still works in a closed room, besides reports, leaving and moderators' deletions."""

ROOM: dict[str, Any] = {"room": "r1"}


RECORDING = Recording(
    id="rec", room="r1", user="olga", session="s", title="T", state="listed", started_at=1, length_ms=1, bytes=1,
    width=1, height=1, parts=1, folder="f", node="n", first_pos=1, last_pos=2,
)  # fmt: skip


class Scene(NamedTuple):
    """A room in which `acting` is about to act. `own` and `other` are messages, by `acting` and by somebody else."""

    stage: Stage
    acting: Actor
    own: int
    other: int


def scene(kind: str, visibility: str, role: str, *, granted: bool = False, **claims: Any) -> Scene:
    """With `granted`, the role comes from the token and there is no membership."""
    acting = user("acting", admin=role == "admin", **({"granted": {"r1": role}} if granted else {}), **claims)
    target, second = user("target"), user("second")
    stage = Stage(kind, visibility)
    stage.join(target, second)
    stage.promote(second, "owner")
    stage.join(user("acting"))
    own, other = stage.send(user("acting")), stage.send(target)
    if role in ("moderator", "owner") and not granted:
        stage.promote(acting, role)
    if granted or role in ("none", "admin"):
        stage.do(user("acting"), c.MemberLeave(room="r1"))
    stage.do(user("olga"), c.InviteCreate(room="r1"))
    stage.do(user("olga"), c.MessagePin(room="r1", target=other))
    stage.do(target, c.MessageSend(room="r1", text="waits"), Verdict("hold", "p"))
    stage.recordings[RECORDING.id] = RECORDING
    return Scene(stage, acting, own, other)


def command(name: str, at: Scene) -> c.Command:
    code, pending = next(reversed(at.stage.invites)), next(reversed(at.stage.pending))
    target = {**ROOM, "user": "target"}
    family, _, what = name.partition(".")
    if family == "update":
        value: Any = {
            "slow_seconds": 7, "locked": not at.stage.room.settings.locked, "history": "from_join",
            "write": "entitled", "entitlement": "gold", "policy": "none",
        }.get(what)  # fmt: skip
        if what == "title":
            return c.RoomUpdate(**ROOM, title="New")
        return c.RoomUpdate(**ROOM, settings=SettingsPatch(**{what: value}))
    if family == "edit":
        return c.MessageEdit(**ROOM, target=getattr(at, what), text="new")
    if family == "delete":
        return c.MessageDelete(**ROOM, target=getattr(at, what))
    per_user = target if what in ("mute", "unmute", "kick", "ban", "unban") else ROOM
    special: dict[str, dict[str, Any]] = {
        "invite.accept": {"code": code},
        "invite.revoke": {**ROOM, "code": code},
        "message.approve": {**ROOM, "pending": pending},
        "message.deny": {**ROOM, "pending": pending},
        "message.send": {**ROOM, "text": "hi"},
        "message.react": {**ROOM, "target": at.other, "emoji": "👍"},
        "message.unreact": {**ROOM, "target": at.other, "emoji": "👍"},
        "message.pin": {**ROOM, "target": at.own},
        "message.unpin": {**ROOM, "target": at.other},
        "message.search": {**ROOM, "query": "hi"},
        "read.mark": {**ROOM, "pos": 1},
        "report.create": {**ROOM, "user": "target", "reason": "spam"},
        "recording.update": {**ROOM, "recording": RECORDING.id, "listed": False},
        "recording.delete": {**ROOM, "recording": RECORDING.id},
        "member.role": {**target, "role": "moderator"},
    }
    given: c.Command = KINDS[name](**special.get(name, per_user))
    return given


KINDS: dict[str, Any] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(c.AnyCommand) if kind.__struct_config__.tag
}


def result(name: str, at: Scene) -> str:
    """`.`, or the code (and, where the rules name one, the setting) that the command is refused with."""
    given = command(name, at)
    try:
        if isinstance(given, c.Decided):
            at.stage.copy().do(at.acting, given)
        else:
            authorize(at.stage.room, at.acting, given, at.stage.now)
    except Rejected as refusal:
        setting = refusal.field in ("write", "closed", "entitlement") and refusal.code != "bad_request"
        return f"{refusal.code}/{refusal.field}" if setting and not name.startswith("update") else refusal.code
    return "."


def base(name: str, role: str, kind: str, visibility: str) -> str:
    """The table's answer, in a room with default settings."""
    cell = ROWS[name][role]
    if role == "none" and visibility == "private" and name != "invite.accept":
        return "not_found"
    if cell == "write":
        if kind == "group":
            return "forbidden/write"
        return "forbidden" if name.endswith(".other") else "."
    if cell == "live":
        return "." if kind == "live" else "forbidden"
    if cell == "invite":
        return "." if (kind, visibility) == ("group", "public") else "forbidden"
    return cell


ROOMS = [(kind, visibility) for kind in ("group", "live") for visibility in ("public", "private")]
every_room = pytest.mark.parametrize(("kind", "visibility"), ROOMS)
every_role = pytest.mark.parametrize("role", ROLES)


def test_the_table_is_about_every_command_that_names_a_room() -> None:
    split = {"message.edit", "message.delete", "room.update"}
    roomless = {"hello", "ping", "refresh", "room.create", "room.list", "read.list", "user.logout"}
    roomless |= {name for name in KINDS if name.startswith("live.destination.")}
    assert {row for row in ROWS if row.split(".")[0] not in ("edit", "delete", "update")} == set(
        KINDS
    ) - split - roomless


@every_room
@every_role
def test_with_default_settings(kind: str, visibility: str, role: str) -> None:
    at = scene(kind, visibility, role)
    assert {name: result(name, at) for name in ROWS} == {name: base(name, role, kind, visibility) for name in ROWS}


@every_room
@pytest.mark.parametrize("role", ["member", "moderator", "owner"])
def test_a_role_granted_by_the_app_counts_like_a_membership(kind: str, visibility: str, role: str) -> None:
    at = scene(kind, visibility, role, granted=True)
    expected = {name: base(name, role, kind, visibility) for name in ROWS} | {"member.leave": "not_member"}
    assert {name: result(name, at) for name in ROWS} == expected


@every_room
@every_role
def test_muted(kind: str, visibility: str, role: str) -> None:
    at = scene(kind, visibility, role)
    at.stage.do(ROOT, c.MemberMute(room="r1", user="acting"))
    expected = {name: base(name, role, kind, visibility) for name in ROWS}
    if role != "admin" and (role, visibility) != ("none", "private"):
        expected |= dict.fromkeys(WRITES, "muted")
    assert {name: result(name, at) for name in ROWS} == expected


@every_room
@pytest.mark.parametrize("role", ["none", "granted member", "granted moderator", "granted owner"])
def test_a_ban_beats_every_role(kind: str, visibility: str, role: str) -> None:
    at = scene(kind, visibility, role.removeprefix("granted "), granted=role != "none")
    at.stage.do(ROOT, c.MemberBan(room="r1", user="acting"))
    expected = dict.fromkeys(ROWS, "not_found" if visibility == "private" else "banned")
    assert {name: result(name, at) for name in ROWS} == expected


@every_room
def test_platform_admins_cannot_be_kept_out(kind: str, visibility: str) -> None:
    at = scene(kind, visibility, "admin")
    at.stage.do(user("olga"), c.MemberBan(room="r1", user="acting"))
    expected = {name: base(name, "admin", kind, visibility) for name in ROWS} | {"invite.accept": "banned"}
    assert {name: result(name, at) for name in ROWS} == expected


@every_room
@every_role
def test_locked(kind: str, visibility: str, role: str) -> None:
    at = scene(kind, visibility, role)
    at.stage.do(user("olga"), c.RoomUpdate(room="r1", settings=SettingsPatch(locked=True)))
    expected = {name: base(name, role, kind, visibility) for name in ROWS}
    if role in ("none", "member") and (role, visibility) != ("none", "private"):
        expected |= dict.fromkeys(WRITES, "locked")
    if role == "none":
        expected["invite.accept"] = "locked"
        if visibility == "public":
            expected["member.join"] = "locked"
    if role in ("moderator", "owner", "admin"):
        expected["message.approve"] = "forbidden"  # its author may not write now
    assert {name: result(name, at) for name in ROWS} == expected


@every_room
@every_role
def test_closed(kind: str, visibility: str, role: str) -> None:
    at = scene(kind, visibility, role)
    at.stage.do(user("olga"), c.RoomClose(room="r1"))
    open_still = READS | {"report.create", "member.leave", "message.deny", "live.stop", "live.takedown"}
    open_still |= {"recording.update", "recording.delete"}
    expected = {name: base(name, role, kind, visibility) if name in open_still else "forbidden/closed" for name in ROWS}
    if role in ("moderator", "owner", "admin"):
        expected |= {"delete.own": ".", "delete.other": "."}
    elif role == "none":
        stranger = {name: base(name, role, kind, visibility) for name in ("delete.own", "delete.other")}
        expected |= {name: "forbidden/closed" if code == "." else code for name, code in stranger.items()}
    else:
        expected["delete.other"] = "forbidden"
    if (role, visibility) == ("none", "private"):
        expected = dict.fromkeys(ROWS, "not_found") | {"invite.accept": "forbidden/closed"}
    updates = {name: "forbidden" for name in ROWS if name.startswith("update")}
    if (role, visibility) != ("none", "private"):
        expected |= updates
    assert {name: result(name, at) for name in ROWS} == expected


WRITE_MODES = {
    "everyone": {"none": ".", "member": "."},
    "members": {"none": "forbidden/write", "member": "."},
    "entitled": {"none": "entitlement_required/entitlement", "member": "entitlement_required/entitlement"},
    "moderators": {"none": "forbidden/write", "member": "forbidden/write"},
}


@every_room
@every_role
@pytest.mark.parametrize("mode", WRITE_MODES)
@pytest.mark.parametrize("entitled", [False, True])
def test_write_modes(kind: str, visibility: str, role: str, mode: Any, entitled: bool) -> None:
    at = scene(kind, visibility, role, entitlements=("gold",) if entitled else ("silver",))
    settings = SettingsPatch(write=mode, entitlement="gold")
    at.stage.do(user("olga"), c.RoomUpdate(room="r1", settings=settings))
    for name in WRITES:
        if (role, visibility) == ("none", "private"):
            expected = "not_found"
        else:
            expected = WRITE_MODES[mode].get(role, ".")
            if mode == "entitled" and entitled:
                expected = "."
            if expected == "." and name == "edit.other":
                expected = "forbidden"
            if expected == "." and name == "delete.other" and role in ("none", "member"):
                expected = "forbidden"
        assert result(name, at) == expected, name


@pytest.mark.parametrize("role", ["none", "member"])
def test_invite_only_stops_joining_alone(role: str) -> None:
    at = scene("group", "public", role)
    at.stage.do(user("olga"), c.RoomUpdate(room="r1", settings=SettingsPatch(invite_only=True)))
    expected = {name: base(name, role, "group", "public") for name in ROWS}
    if role == "none":
        expected["member.join"] = "forbidden"
    assert {name: result(name, at) for name in ROWS} == expected


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_who_has_not_said_who_they_are_may_only_listen_to_public_live_rooms(visibility: str) -> None:
    for kind in ("group", "live"):
        at = scene(kind, visibility, "none")._replace(acting=Actor(user="", name=""))
        allowed = {"room.join", "room.leave"} if (kind, visibility) == ("live", "public") else set()
        refused = "not_found" if visibility == "private" else "unauthorized"
        for name in sorted(set(ROWS) - {"invite.accept"}):
            assert result(name, at) == ("." if name in allowed else refused), name


@pytest.mark.parametrize("kind", ["group", "live"])
def test_not_yours_and_not_there_are_the_same_answer(kind: str) -> None:
    at = scene(kind, "private", "none")
    refusals = set()
    for name in set(ROWS) - {"invite.accept"}:
        with pytest.raises(Rejected) as refused:
            authorize(at.stage.room, at.acting, command(name, at), at.stage.now)
        refusals.add(repr(refused.value.reply(1)))
    assert len(refusals) == 1
