"""Folding the log into a room's state."""

from typing import Any

import pytest
from msgspec.structs import replace

from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, By, Role
from rooms.room import FOREVER, KNOWN_MESSAGES, KNOWN_MS, KNOWN_PEOPLE, RECENT_MESSAGES, Message, Person, Room
from rooms.settings import SettingsPatch
from tests.rooms.stage import NOW, ROOT, Stage, check_sound, user

OLGA, MOD, ANN, BOB = user("olga"), user("mod"), user("ann"), user("bob")


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.join(MOD, ANN)
    stage.promote(MOD, "moderator")
    return stage


def follower(stage: Stage) -> Room:
    """The same room on a node that holds none of its people."""
    room = stage.room.copy()
    room.whole = False
    room.people.clear()
    return room


def test_a_new_room_has_its_creator_as_owner() -> None:
    room = Stage("live", "private", slow_seconds=5).room
    assert (room.pos, room.kind, room.visibility, room.title, room.members) == (1, "live", "private", "Title", 1)
    assert room.settings.slow_seconds == 5
    assert room.settings.write == "everyone"
    assert room.staff == {"olga": Role.OWNER}
    assert room.people["olga"] == Person(user="olga", name="Olga", role=Role.OWNER, joined_pos=1)


@pytest.mark.parametrize(
    "command",
    [
        c.MemberKick(room="r1", user="ann"),
        c.MemberKick(room="r1", user="bob"),
        c.MemberKick(room="r1", user="mod"),
        c.MemberBan(room="r1", user="ann"),
        c.MemberBan(room="r1", user="bob"),
        c.MemberBan(room="r1", user="never seen"),
        c.MemberBan(room="r1", user="mod"),
        c.MemberRole(room="r1", user="ann", role="moderator"),
        c.MemberRole(room="r1", user="mod", role="member"),
        c.MemberMute(room="r1", user="bob"),
        c.RoomUpdate(room="r1", title="Other"),
    ],
    ids=str,
)
def test_a_node_that_knows_none_of_the_people_counts_members_alike(stage: Stage, command: c.Decided) -> None:
    """Bob is known to the room but no member: sending him away takes no member from it."""
    stage.do(ROOT, c.MemberMute(room="r1", user="bob"))
    node = follower(stage)
    events = stage.do(ROOT, command).events
    node.apply_all(events)
    assert (node.members, node.staff) == (stage.room.members, stage.room.staff)


def test_joining_and_leaving_are_counted_alike_without_knowing_the_people(stage: Stage) -> None:
    node = follower(stage)
    node.apply_all(stage.do(BOB, c.MemberJoin(room="r1")).events)
    node.apply_all(stage.do(ANN, c.MemberLeave(room="r1")).events)
    assert node.members == stage.room.members == 3


def test_an_event_of_one_who_is_not_known_makes_nobody_known(stage: Stage) -> None:
    node = follower(stage)
    node.apply_all(stage.do(ROOT, c.MemberMute(room="r1", user="ann")).events)
    assert node.people == {}
    assert not node.knows_person("ann")


def test_membership_ends_with_leaving_kick_and_ban_and_history_starts_afresh(stage: Stage) -> None:
    for away in (c.MemberKick(room="r1", user="ann"), c.MemberBan(room="r1", user="ann", seconds=1)):
        stage.do(MOD, away)
        assert stage.room.people["ann"] is not None
        assert not stage.room.people["ann"].member
        stage.now += 2_000
        joined = stage.do(ANN, c.MemberJoin(room="r1")).events[0].pos
        assert stage.room.people["ann"].joined_pos == joined
    check_sound(stage)


def test_a_new_role_keeps_the_position_of_joining(stage: Stage) -> None:
    before = stage.room.people["ann"]
    stage.promote(ANN, "owner")
    after = stage.room.people["ann"]
    assert before
    assert after
    assert (after.joined_pos, after.role) == (before.joined_pos, Role.OWNER)
    assert stage.room.staff["ann"] is Role.OWNER


def test_sanctions_expire(stage: Stage) -> None:
    start = stage.now
    stage.do(MOD, c.MemberMute(room="r1", user="ann", seconds=10))
    room = stage.room
    assert room.muted("ann", start + 9_999)
    assert not room.muted("ann", start + 10_000)
    stage.do(MOD, c.MemberBan(room="r1", user="ann"))
    assert room.banned("ann", FOREVER - 1)
    stage.do(MOD, c.MemberUnban(room="r1", user="ann"))
    assert not room.banned("ann", start)


def test_messages_read_as_they_read_now(stage: Stage) -> None:
    pos = stage.send(ANN, "one")
    stage.do(ANN, c.MessageReact(room="r1", target=pos, emoji="👍"))
    stage.do(OLGA, c.MessageReact(room="r1", target=pos, emoji="👍"))
    stage.do(OLGA, c.MessageReact(room="r1", target=pos, emoji="🎉"))
    stage.do(OLGA, c.MessageUnreact(room="r1", target=pos, emoji="🎉"))
    at = stage.now
    stage.do(ANN, c.MessageEdit(room="r1", target=pos, text="two"))
    message = stage.room.messages[pos]
    assert message
    assert (message.text, message.n, message.edited_at) == ("two", 1, at)
    assert message.reactions == (("👍", frozenset({"ann", "olga"})),)
    stage.do(MOD, c.MessagePin(room="r1", target=pos))
    stage.do(MOD, c.MessageDelete(room="r1", target=pos))
    message = stage.room.messages[pos]
    assert message
    assert (message.text, message.reactions, message.mentions, message.edited_at) == (None, (), (), None)
    assert stage.room.pins == {}


def test_nothing_revives_a_deleted_message(stage: Stage) -> None:
    pos = stage.send(ANN)
    stage.do(ANN, c.MessageDelete(room="r1", target=pos))
    dead = stage.room.messages[pos]
    head: dict[str, Any] = {"room": "r1", "at": NOW, "by": By("ann", "Ann", "member"), "target": pos}
    body = e.Body(text="back", n=1, mentions=())
    stage.apply(e.MessageEdited(pos=stage.room.pos + 1, message=body, **head))
    stage.apply(e.MessageReacted(pos=stage.room.pos + 1, emoji="👍", **head))
    assert stage.room.messages[pos] == dead


def test_restricting_events_move_the_rules(stage: Stage) -> None:
    stage.send(ANN)
    stage.do(MOD, c.MemberMute(room="r1", user="ann"))
    restricted = stage.room.pos
    stage.do(MOD, c.MemberUnmute(room="r1", user="ann"))
    stage.send(ANN)
    assert stage.room.rules_pos == restricted


def test_a_copy_lives_its_own_life(stage: Stage) -> None:
    pos = stage.send(ANN)
    before = {name: repr(getattr(stage.room, name)) for name in Room.__slots__}
    other = stage.copy()
    other.do(MOD, c.MessagePin(room="r1", target=pos))
    other.do(MOD, c.MemberBan(room="r1", user="ann", purge_seconds=600))
    other.do(OLGA, c.RoomUpdate(room="r1", title="Other"))
    other.do(OLGA, c.RoomClose(room="r1"))
    other.room.know_person("new", None)
    other.room.know_message(99, None)
    assert {name: repr(getattr(stage.room, name)) for name in Room.__slots__} == before


def filled(people: int, messages: int) -> Room:
    room = Stage().room
    for n in range(people - 1):
        room.know_person(f"u{n}", Person(user=f"u{n}", name="U"))
    for pos in range(2, messages + 2):
        room.know_message(pos, Message(pos=pos, at=NOW, by=By("ann", "Ann", "member"), n=pos, text="x"))
    return room


def test_forgetting_nothing_keeps_the_room_whole() -> None:
    room = filled(KNOWN_PEOPLE, KNOWN_MESSAGES)
    room.forget(NOW)
    assert room.whole
    assert (len(room.people), len(room.messages)) == (KNOWN_PEOPLE, KNOWN_MESSAGES)


@pytest.mark.parametrize(("people", "messages"), [(KNOWN_PEOPLE + 3, 1), (1, KNOWN_MESSAGES + 3)])
def test_forgetting_drops_the_oldest_of_what_can_be_looked_up_again(people: int, messages: int) -> None:
    room = filled(people, messages)
    all_people, all_messages = dict(room.people), dict(room.messages)
    rest = {name: getattr(room, name) for name in Room.__slots__ if name not in ("people", "messages", "whole")}
    room.forget(NOW)
    assert {name: getattr(room, name) for name in rest} == rest
    assert list(room.people.items()) == list(all_people.items())[-KNOWN_PEOPLE:]
    assert list(room.messages.items()) == list(all_messages.items())[-KNOWN_MESSAGES:]
    for user_id in all_people:
        assert room.knows_person(user_id) == (user_id in room.people)
    for pos in all_messages:
        assert room.knows_message(pos) == (pos in room.messages)
    assert not room.knows_person("somebody else")
    assert not room.knows_message(9_999)


@pytest.mark.parametrize(("later", "first"), [(KNOWN_MS, 2), (KNOWN_MS + 1, 5)])
def test_of_messages_from_long_ago_only_the_latest_few_are_kept(later: int, first: int) -> None:
    room = filled(1, RECENT_MESSAGES + 3)
    room.forget(NOW + later)
    assert room.whole == (first == 2)
    assert list(room.messages) == list(range(first, RECENT_MESSAGES + 5))


def test_a_fresh_message_keeps_those_that_came_to_be_known_after_it() -> None:
    room = filled(1, RECENT_MESSAGES)
    fresh = Message(pos=900, at=NOW + KNOWN_MS, by=By("ann", "Ann", "member"), n=900, text="x")
    room.know_message(900, fresh)
    for pos in range(1_000, 1_000 + RECENT_MESSAGES):
        room.know_message(pos, None)
    room.forget(NOW + KNOWN_MS + 1)
    assert list(room.messages) == [900, *range(1_000, 1_000 + RECENT_MESSAGES)]


def test_who_is_forgotten_keeps_a_rank(stage: Stage) -> None:
    room = follower(stage)
    assert room.role(MOD) is Role.MODERATOR
    assert room.role(OLGA) is Role.OWNER


@pytest.mark.parametrize(
    ("actor", "role"),
    [
        (OLGA, Role.OWNER),
        (MOD, Role.MODERATOR),
        (ANN, Role.MEMBER),
        (BOB, Role.NONE),
        (ROOT, Role.ADMIN),
        (user("bob", granted={"r1": "owner"}), Role.OWNER),
        (user("bob", granted={"r2": "owner"}), Role.NONE),
        (user("mod", granted={"r1": "member"}), Role.MODERATOR),
    ],
    ids=str,
)
def test_rank_is_the_highest_of_membership_grant_and_platform(stage: Stage, actor: Actor, role: Role) -> None:
    assert stage.room.role(actor) is role
    assert stage.room.by(actor).role == {Role.ADMIN: "owner"}.get(role, role.name.lower())


def test_history_from_join(stage: Stage) -> None:
    stage.do(OLGA, c.RoomUpdate(room="r1", settings=SettingsPatch(history="from_join")))
    room = stage.room
    ann = room.people["ann"]
    assert ann
    assert room.viewer(ANN).from_pos == ann.joined_pos
    assert room.viewer(BOB).from_pos == room.pos + 1
    assert [room.viewer(actor).from_pos for actor in (MOD, OLGA, ROOT)] == [1, 1, 1]
    stage.do(ANN, c.MemberLeave(room="r1"))
    assert room.viewer(ANN).from_pos == room.pos + 1


def test_without_it_everybody_reads_from_the_start(stage: Stage) -> None:
    assert [stage.room.viewer(actor).from_pos for actor in (ANN, BOB, ROOT)] == [1, 1, 1]


def test_names_follow_the_latest_event(stage: Stage) -> None:
    stage.do(replace(ANN, name="Annette"), c.MemberLeave(room="r1"))
    assert stage.room.people["ann"]
    assert stage.room.people["ann"].name == "Annette"
