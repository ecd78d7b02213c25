"""Any users, any commands, in any order: what must be so of every history that comes of it."""

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, By
from rooms.decide import Facts, Release, needs
from rooms.drafts import Verdict
from rooms.errors import Rejected
from rooms.records import of_event
from rooms.room import Room
from rooms.settings import Settings, SettingsPatch
from tests.rooms.stage import ROOT, Stage, check_sound, user

OLGA, ANN, BOB, EVE = user("olga"), user("ann"), user("bob"), user("eve")
ACTORS = [OLGA, OLGA, ANN, ANN, BOB, EVE, user("zoe"), user("greta", granted={"r1": "moderator"}), ROOT]
GRANTED = {"greta": 2, "root": 4}
"""Ranks that come from tokens. 1 is a member, 2 a moderator, 3 an owner, 4 a platform admin."""
RANKS = {"none": 0, "member": 1, "moderator": 2, "owner": 3}

ROOM: dict[str, Any] = {"room": st.just("r1")}
users = st.sampled_from(["olga", "ann", "ann", "bob", "bob", "eve", "greta", "root", "zoe"])
targets = st.one_of(st.integers(1, 3), st.integers(1, 40))
"""Stands for the message of that number, counted backwards, where there is one; else for a position."""
seconds = st.sampled_from([None, 1, 30])
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "slow_seconds": st.sampled_from([0, 5]),
    "write": st.sampled_from(["everyone", "members", "members", "entitled", "moderators"]),
    "invite_only": st.booleans(),
    "locked": st.sampled_from([False, False, True]),
    "emoji_only": st.sampled_from([False, False, True]),
    "delay_seconds": st.sampled_from([0, 10]),
    "history": st.sampled_from(["visible", "from_join"]),
    "policy": st.sampled_from(["default", "none"]),
}


def _patch(values: dict[str, Any]) -> SettingsPatch:
    return SettingsPatch(**values)


patches = st.fixed_dictionaries({}, optional=SETTINGS).map(_patch)


def command(kind: Any, **fields: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind, **ROOM, **fields)


saying = command(c.MessageSend, text=st.sampled_from(["hello", "👍", "@ann @all"]), reply_to=st.none() | targets)
COMMANDS: list[st.SearchStrategy[Any]] = [
    *[saying] * 6,
    command(c.MessageEdit, target=targets, text=st.sampled_from(["new", "🎉"])),
    command(c.MessageEdit, target=targets, text=st.sampled_from(["new", "🎉"])),
    command(c.MessageDelete, target=targets),
    command(c.MessageReact, target=targets, emoji=st.sampled_from("👍🎉")),
    command(c.MessageReact, target=targets, emoji=st.sampled_from("👍🎉")),
    command(c.MessageUnreact, target=targets, emoji=st.sampled_from("👍🎉")),
    command(c.MessagePin, target=targets, seconds=seconds),
    command(c.MessageUnpin, target=targets),
    st.just(c.MessageApprove(room="r1", pending="latest")),
    st.just(c.MessageDeny(room="r1", pending="latest")),
    st.just("release"),
    command(c.MemberJoin),
    command(c.MemberJoin),
    command(c.MemberLeave),
    command(c.InviteCreate, uses=st.sampled_from([None, 1])),
    st.just(c.InviteAccept(code="latest")),
    command(c.MemberMute, user=users, seconds=seconds),
    command(c.MemberUnmute, user=users),
    command(c.MemberKick, user=users),
    command(c.MemberBan, user=users, seconds=seconds, purge_seconds=st.sampled_from([None, 60])),
    command(c.MemberUnban, user=users),
    command(c.MemberRole, user=users, role=st.sampled_from(["owner", "moderator", "member"])),
    command(c.RoomUpdate, settings=patches),
    command(c.RoomUpdate, title=st.sampled_from(["Title", "Other"])),
    st.integers(0, 9).map(lambda n: "wait" if n else c.RoomClose(room="r1")),
]
commands = st.sampled_from(COMMANDS).flatmap(lambda strategy: strategy)
verdicts = st.sampled_from([Verdict("allow", "p")] * 4 + [Verdict("hold", "p"), Verdict("mask", "p", text="•")])
steps = st.lists(st.tuples(st.sampled_from(ACTORS), commands, verdicts), min_size=20, max_size=50)


def populated(kind: str = "group", visibility: str = "public") -> Stage:
    stage = Stage(kind, visibility)
    stage.join(ANN, BOB, EVE)
    stage.promote(EVE, "moderator")
    stage.send(ANN)
    return stage


class Law:
    """What the protocol's pages allow, kept by an account of our own of who is what."""

    def __init__(self, log: list[e.Logged]):
        created = log[0]
        assert isinstance(created, e.RoomCreated)
        self.ranks = {created.by.id: 3}
        self.muted: dict[str, float] = {}
        self.banned: dict[str, float] = {}
        self.authors: dict[int, str] = {}
        self.settings = created.room_info.settings
        self.closed = False
        for event in log:
            self.note(event)

    def rank(self, user_id: str) -> int:
        return max(self.ranks.get(user_id, 0), GRANTED.get(user_id, 0))

    def may_write(self, user_id: str, at: int) -> bool:
        rank = self.rank(user_id)
        if self.muted.get(user_id, 0) > at and rank < 4:
            return False
        admitted = {"everyone": 0, "members": 1, "entitled": 2, "moderators": 2}[self.settings.write]
        return rank >= 2 or (rank >= admitted and not self.settings.locked)

    def allows(self, event: e.Logged) -> bool:
        """Whether whom the event names may do this now."""
        who, at = event.by.id, event.at
        rank = self.rank(who)
        if self.banned.get(who, 0) > at and rank < 4:
            return False
        if self.closed and not isinstance(event, e.MessageDeleted | e.MemberLeft):
            return False
        match event:
            case e.RoomUpdated():
                changed = set(event.changes.settings.named()) if event.changes.settings else set()
                for_owners = changed & {"write", "policy", "entitlement"} or event.changes.title is not None
                none = event.changes.settings is not None and event.changes.settings.policy == "none"
                return rank >= (4 if none else 3 if for_owners else 2)
            case e.RoomClosed():
                return rank >= 3
            case e.MemberJoined():
                return event.user == who and not self.ranks.get(who) and (rank >= 2 or not self.settings.locked)
            case e.MemberLeft():
                return event.user == who and self.ranks.get(who, 0) > 0
            case e.MemberRoleChanged():
                return rank >= 3 and self.ranks.get(event.user, 0) > 0
            case e.MemberMuted() | e.MemberUnmuted() | e.MemberKicked() | e.MemberBanned():
                return rank >= 2 and self.ranks.get(event.user, 0) < rank
            case e.MemberUnbanned() | e.MessagePinned() | e.MessageUnpinned():
                return rank >= 2
            case e.MessageEdited():
                return self.authors[event.target] == who and self.may_write(who, at)
            case e.MessageDeleted():
                return rank >= 2 or (self.authors[event.target] == who and self.may_write(who, at))
            case e.MessageCreated() | e.MessageReacted() | e.MessageUnreacted():
                return self.may_write(who, at)
            case _:
                return False

    def note(self, event: e.Logged) -> None:
        match event:
            case e.RoomUpdated():
                if event.changes.settings is not None:
                    self.settings = Settings(
                        **{**msgspec.structs.asdict(self.settings), **event.changes.settings.named()}
                    )
            case e.RoomClosed():
                self.closed = True
            case e.MemberJoined():
                self.ranks[event.user] = 1
            case e.MemberLeft() | e.MemberKicked():
                self.ranks.pop(event.user, None)
            case e.MemberRoleChanged():
                self.ranks[event.user] = RANKS[event.role]
            case e.MemberMuted():
                self.muted[event.user] = event.until or float("inf")
            case e.MemberUnmuted():
                self.muted.pop(event.user)
            case e.MemberBanned():
                self.ranks.pop(event.user, None)
                self.banned[event.user] = event.until or float("inf")
            case e.MemberUnbanned():
                self.banned.pop(event.user)
            case e.MessageCreated():
                self.authors[event.pos] = event.by.id
            case _:
                pass


def state(room: Room) -> dict[str, Any]:
    return {name: getattr(room, name) for name in Room.__slots__}


def message_of(stage: Stage, nth: int) -> int:
    positions = [event.pos for event in reversed(stage.log) if isinstance(event, e.MessageCreated)]
    return positions[nth - 1] if nth <= len(positions) else nth


def at_hand(stage: Stage, given: Any) -> Any:
    """The command with the latest invite or waiting message in it; None where there is none."""
    match given:
        case c.InviteAccept():
            return c.InviteAccept(code=next(reversed(stage.invites))) if stage.invites else None
        case c.MessageApprove() | c.MessageDeny():
            return type(given)(room="r1", pending=next(reversed(stage.pending))) if stage.pending else None
        case "release":
            return Release(next(reversed(stage.pending.values()))) if stage.pending else None
        case "wait":
            stage.now += 15_000
            return None
        case c.MessageSend(reply_to=int(nth)):
            return replace(given, reply_to=message_of(stage, nth))
        case (
            c.MessageEdit()
            | c.MessageDelete()
            | c.MessageReact()
            | c.MessageUnreact()
            | c.MessagePin()
            | c.MessageUnpin()
        ):
            return replace(given, target=message_of(stage, given.target))
        case _:
            return given


def forget_all_but(stage: Stage, actor: Actor, given: Any) -> Stage:
    """The stage on a node that has just looked up what `needs` names, and knows nothing else."""
    other = stage.copy()
    room = other.room
    room.whole = False
    room.people, room.messages = {}, {}
    waiting = getattr(given, "pending", None)
    facts = Facts(pending=stage.pending.get(waiting) if isinstance(waiting, str) else None)
    for _ in range(2):
        need = needs(room, actor.user, given, stage.now, facts)
        for user_id in need.people:
            room.know_person(user_id, stage.room.people.get(user_id))
        for pos in need.messages:
            room.know_message(pos, stage.room.messages.get(pos))
    other.facts = stage.copy().facts  # type: ignore[method-assign]  # names and purges come from the store
    return other


def outcome(stage: Stage, actor: Actor, given: Any, verdict: Verdict) -> tuple[Any, ...]:
    try:
        decision = stage.do(actor, given, verdict)
    except Rejected as refusal:
        return refusal.code, refusal.field, refusal.retry_after_ms
    return decision.events, decision.effects, decision.reply


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["group", "live"]), st.sampled_from(["public", "private"]), steps)
def test_any_history_is_lawful_and_folds_to_one_state(
    kind: str, visibility: str, history: list[tuple[Actor, Any, Verdict]]
) -> None:
    stage = populated(kind, visibility)
    law = Law(stage.log)
    for actor, sketch, verdict in history:
        given = at_hand(stage, sketch)
        if given is None:
            continue
        forgetful = forget_all_but(stage, actor, given)
        provisional = stage.copy()
        settled = len(stage.log)
        ahead = outcome(provisional, actor, given, verdict)
        assert state(stage.room) == state(provisional.room) or len(provisional.log) > settled or provisional.pending
        assert len(stage.log) == settled
        done = outcome(stage, actor, given, verdict)
        assert done == ahead
        assert state(stage.room) == state(provisional.room)
        assert outcome(forgetful, actor, given, verdict) == done
        for name in ("pos", "rules_pos", "n", "members", "staff", "pins", "settings", "title", "closed"):
            assert getattr(forgetful.room, name) == getattr(stage.room, name), name
        for event in stage.log[settled:]:
            assert law.allows(event), event
            law.note(event)
        check_sound(stage)
    replayed = Room("r1")
    replayed.apply_all(stage.log)
    for name in Room.__slots__:
        if name != "people":
            assert getattr(replayed, name) == getattr(stage.room, name), name


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_every_event_and_record_survives_both_codecs(history: list[tuple[Actor, Any, Verdict]]) -> None:
    stage = populated()
    for actor, sketch, verdict in history:
        given = at_hand(stage, sketch)
        if given is not None:
            outcome(stage, actor, given, verdict)
    for event in stage.log:
        assert msgspec.json.decode(msgspec.json.encode(event), type=e.Logged) == event
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=e.Logged) == event
    ids = [record.id for event in stage.log for record in of_event(event, "ann")]
    assert len(ids) == len(set(ids))


bys = st.builds(By, st.sampled_from(["ann", "bob", ""]), st.text(max_size=3), st.sampled_from([*RANKS, "king"]))
BODIES = st.builds(
    e.Body,
    text=st.text(max_size=5),
    n=st.integers(0, 9),
    reply_to=st.none() | st.builds(e.Quote, targets),
    mentions=st.just(()),
)
ANY_FIELD: dict[str, Any] = {
    "room": st.sampled_from(["r1", "r2"]),
    "pos": st.integers(0, 2**53),
    "at": st.integers(0, 2**53),
    "by": bys,
    "user": users,
    "name": st.text(max_size=3),
    "role": st.sampled_from([*RANKS, "king", ""]),
    "until": st.none() | st.integers(0, 2**53),
    "reason": st.none() | st.text(max_size=3),
    "was_member": st.booleans(),
    "target": targets,
    "emoji": st.text(max_size=3),
    "message": st.none() | BODIES,
    "deleted": st.booleans(),
    "session": st.text(max_size=3),
    "title": st.text(max_size=3),
    "category": st.none() | st.text(max_size=3),
    "mature": st.booleans(),
    "media": st.just(e.Media("a", "b", "c")),
    "changes": st.builds(e.RoomChanges, title=st.none() | st.text(max_size=3), settings=st.none() | patches),
    "room_info": st.builds(
        e.RoomInfo, st.just("r1"), st.sampled_from(["group", "live"]), st.text(max_size=3), st.just("public"),
        st.just(Settings()),
    ),
}  # fmt: skip
any_event = st.one_of(
    *(st.builds(kind, **{name: ANY_FIELD[name] for name in kind.__struct_fields__}) for kind in e.Logged.__args__)
)


@given(st.lists(any_event, max_size=30), st.booleans())
def test_applying_fails_on_no_log_whatsoever(log: list[e.Logged], whole: bool) -> None:
    room = Room("r1")
    room.whole = whole
    for event in log:
        room.apply(event)
        assert room.pos == event.pos
        room.forget(event.at)
        assert room.copy().pos == room.pos
