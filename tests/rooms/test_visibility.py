"""Who sees what of the log."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rooms import commands as c
from rooms import events as e
from rooms.actors import By, Role, Viewer
from rooms.visibility import differs, shown, visible
from tests.rooms.stage import NOW, Stage, user

MOD = By("mod", "Mod", "moderator")
HEAD: dict[str, Any] = {"room": "r1", "at": NOW, "by": MOD}
STAFF, ANN, BOB = Viewer("zoe", Role.MODERATOR), Viewer("ann", Role.MEMBER), Viewer("bob", Role.NONE)


def body(text: str = "hi", reply_to: e.Quote | None = None) -> e.Body:
    return e.Body(text=text, n=1, reply_to=reply_to, mentions=())


def about_ann(kind: Any, **fields: Any) -> Any:
    return kind(**HEAD, pos=5, user="ann", name="Ann", **fields)


@pytest.mark.parametrize("viewer", [STAFF, ANN, Viewer("zoe", Role.ADMIN)], ids=str)
def test_moderators_and_the_target_see_who_muted_and_why(viewer: Viewer) -> None:
    muted = about_ann(e.MemberMuted, until=NOW + 1, reason="spam")
    assert visible(muted, viewer) == muted


def test_others_see_the_mute_alone() -> None:
    seen = visible(about_ann(e.MemberMuted, until=NOW + 1, reason="spam"), BOB)
    assert isinstance(seen, e.MemberMuted)
    assert (seen.user, seen.until, seen.reason, seen.by.id, seen.by.name) == ("ann", NOW + 1, None, "", "")


@pytest.mark.parametrize("kind", [e.MemberKicked, e.MemberBanned])
def test_reasons_of_being_sent_away_are_for_staff_and_the_target(kind: Any) -> None:
    event = about_ann(kind, reason="spam")
    assert visible(event, STAFF) == visible(event, ANN) == event
    assert visible(event, BOB) == replace(event, reason=None)


def test_reasons_of_a_deletion_are_for_staff() -> None:
    event = e.MessageDeleted(**HEAD, pos=5, target=2, reason="rude")
    assert visible(event, STAFF) == event
    assert visible(event, ANN) == replace(event, reason=None)


def test_history_from_join_hides_what_was_before() -> None:
    late = Viewer("ann", Role.MEMBER, from_pos=5)
    events = [e.MessageCreated(**HEAD, pos=pos, message=body()) for pos in range(1, 8)]
    assert [visible(event, late) for event in events] == [None] * 4 + events[4:]


def test_later_events_give_no_text_from_before_away() -> None:
    late = Viewer("ann", Role.MEMBER, from_pos=5)
    quote = e.Quote(2, MOD, "secret")
    reply = e.MessageCreated(**HEAD, pos=6, message=body(reply_to=quote))
    edited_before = e.MessageEdited(**HEAD, pos=7, target=3, message=body("secret"))
    edited_reply = e.MessageEdited(**HEAD, pos=8, target=6, message=body(reply_to=quote))
    reply_within = e.MessageCreated(**HEAD, pos=9, message=body(reply_to=e.Quote(6, MOD, "hi")))
    seen = [visible(event, late) for event in (reply, edited_before, edited_reply, reply_within)]
    assert seen == [
        replace(reply, message=body(reply_to=e.Quote(2))),
        None,
        replace(edited_reply, message=body(reply_to=e.Quote(2))),
        reply_within,
    ]
    assert visible(reply, BOB) == reply
    assert visible(edited_before, BOB) == edited_before


def test_hidden_events_are_announced_in_one_skip_a_stretch() -> None:
    late = Viewer("ann", Role.MEMBER, from_pos=4)
    created = [e.MessageCreated(**HEAD, pos=pos, message=body()) for pos in range(1, 6)]
    edited = [e.MessageEdited(**HEAD, pos=pos, target=1, message=body()) for pos in (6, 7)]
    last = e.MessageCreated(**HEAD, pos=8, message=body())
    assert list(shown([*created, *edited, last, replace(edited[0], pos=9)], late)) == [
        e.Skip("r1", 1, 3),
        *created[3:],
        e.Skip("r1", 6, 7),
        last,
        e.Skip("r1", 9, 9),
    ]
    assert list(shown([], late)) == []


def history() -> list[e.Logged]:
    """At least one event of every kind."""
    stage = Stage()
    olga, ann, bob = user("olga"), user("ann"), user("bob")
    stage.join(ann, bob)
    first = stage.send(ann, "first")
    reply = stage.send(bob, "reply", reply_to=first)
    for actor, command in [
        (ann, c.MessageEdit(room="r1", target=first, text="edited")),
        (bob, c.MessageEdit(room="r1", target=reply, text="edited")),
        (bob, c.MessageReact(room="r1", target=first, emoji="👍")),
        (bob, c.MessageUnreact(room="r1", target=first, emoji="👍")),
        (olga, c.MessagePin(room="r1", target=first)),
        (olga, c.MessageUnpin(room="r1", target=first)),
        (olga, c.MessageDelete(room="r1", target=first, reason="rude")),
        (ann, c.MessageDelete(room="r1", target=stage.send(ann))),
        (olga, c.MemberRole(room="r1", user="bob", role="moderator")),
        (olga, c.MemberMute(room="r1", user="ann", reason="spam", seconds=60)),
        (olga, c.MemberUnmute(room="r1", user="ann")),
        (olga, c.MemberKick(room="r1", user="ann", reason="spam")),
        (ann, c.MemberJoin(room="r1")),
        (olga, c.MemberKick(room="r1", user="ann")),
        (olga, c.MemberBan(room="r1", user="ann", reason="spam")),
        (olga, c.MemberUnban(room="r1", user="ann")),
        (olga, c.MemberBan(room="r1", user="ann")),
        (bob, c.MemberLeave(room="r1")),
        (olga, c.RoomUpdate(room="r1", title="New")),
        (olga, c.RoomClose(room="r1")),
    ]:
        stage.do(actor, command)  # type: ignore[arg-type]  # a list joins its items' types
    next_pos = itertools.count(stage.room.pos + 1).__next__
    stage.apply(
        e.LiveStarted(**HEAD, pos=next_pos(), session="s", title="T", media=e.Media("whep", "stream", "hls")),
        e.LiveUpdated(**HEAD, pos=next_pos(), title="U"),
        e.LiveInterrupted(**HEAD, pos=next_pos()),
        e.LiveResumed(**HEAD, pos=next_pos()),
        e.LiveStopped(**HEAD, pos=next_pos(), reason="gone"),
    )
    return stage.log


HISTORY = history()


def test_the_history_holds_every_kind_of_event() -> None:
    assert {type(event) for event in HISTORY} == set(e.Logged.__args__)


viewers = st.builds(
    Viewer,
    st.sampled_from(["olga", "ann", "bob", "eve"]),
    st.sampled_from(Role),
    st.integers(1, len(HISTORY) + 2),
).map(lambda viewer: Viewer(viewer.user, viewer.role) if viewer.staff else viewer)


@given(viewers, st.integers(0, len(HISTORY)), st.integers(0, len(HISTORY)))
def test_every_position_is_shown_or_skipped_once_and_in_order(viewer: Viewer, start: int, end: int) -> None:
    part = HISTORY[start:end]
    covered: list[int] = []
    previous: Any = None
    for item in shown(part, viewer):
        assert not (isinstance(item, e.Skip) and isinstance(previous, e.Skip))
        covered += range(item.first, item.last + 1) if isinstance(item, e.Skip) else [item.pos]
        previous = item
    assert covered == [event.pos for event in part]


@given(viewers)
def test_what_is_said_not_to_differ_looks_alike_to_all_who_read_from_the_start(viewer: Viewer) -> None:
    everything = Viewer(viewer.user, viewer.role)
    for event in HISTORY:
        if not differs(event):
            assert visible(event, everything) is event


@pytest.mark.parametrize("event", HISTORY, ids=lambda event: f"{event.pos}-{type(event).__name__}")
def test_what_is_said_to_differ_does(event: e.Logged) -> None:
    seen = {repr(visible(event, viewer)) for viewer in (STAFF, ANN, BOB)}
    assert (len(seen) > 1) == differs(event)


@given(viewers)
def test_looking_changes_nothing_and_tells_no_more_the_second_time(viewer: Viewer) -> None:
    for event in HISTORY:
        seen = visible(event, viewer)
        if seen is not None:
            assert (type(seen), seen.pos, seen.at) == (type(event), event.pos, event.at)
            assert visible(seen, viewer) == seen
