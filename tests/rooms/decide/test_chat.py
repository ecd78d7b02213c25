"""What is said: messages, edits, deletions, reactions, pins, and messages that wait."""

from typing import Any

import pytest

from rooms import commands as c
from rooms import events as e
from rooms.decide import Decision, Facts, Limits, Moment, Release, decide, needs
from rooms.drafts import Draft, Verdict
from rooms.effects import AddPending, React, SpaceMessages, TakePending
from rooms.mentions import Named
from rooms.settings import SettingsPatch
from tests.rooms.stage import ALLOW, NOW, ROOT, Stage, user

OLGA, MOD, ANN, BOB = user("olga"), user("mod"), user("ann"), user("bob")
HOLD = Verdict("hold", "p", rule="links", reason="A moderator will look at it.")


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Stage:
    settings = getattr(request, "param", {})
    stage = Stage(**settings)
    stage.join(MOD, ANN, BOB)
    stage.promote(MOD, "moderator")
    return stage


def room_with(**settings: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stage", [settings], indirect=True, ids=str)


def say(text: str = "hello", **more: Any) -> c.MessageSend:
    return c.MessageSend(room="r1", text=text, **more)


def edit(target: int, text: str = "new") -> c.MessageEdit:
    return c.MessageEdit(room="r1", target=target, text=text)


def message(decision: Decision) -> e.Body:
    (event,) = decision.events
    assert isinstance(event, e.MessageCreated | e.MessageEdited)
    assert event.message
    return event.message


def test_a_message(stage: Stage) -> None:
    first = stage.do(ANN, say("one"))
    assert first == Decision(
        events=(
            e.MessageCreated(
                room="r1", pos=first.events[0].pos, at=stage.now - 1_000, by=stage.room.by(ANN),
                message=e.Body(text="one", n=1, mentions=()),
            ),
        ),
        timed=True,
    )  # fmt: skip
    assert first.pos
    assert message(stage.do(BOB, say("two"))).n == 2


def test_texts_are_judged_before_they_are_published(stage: Stage) -> None:
    draft = decide(stage.room, ANN, say("x"), Moment(now=NOW))
    assert draft == Draft("message", "r1", "ann", stage.room.role(ANN), "x", "default")
    pos = stage.send(ANN)
    draft = decide(stage.room, ANN, edit(pos, "y"), Moment(now=NOW))
    assert draft == Draft("edit", "r1", "ann", stage.room.role(ANN), "y", "default")


@room_with(owner=ROOT, policy="none")
def test_drafts_name_the_rooms_policy(stage: Stage) -> None:
    draft = decide(stage.room, ANN, say("x"), Moment(now=NOW))
    assert isinstance(draft, Draft)
    assert draft.policy == "none"


def test_what_is_refused_anyway_is_not_judged(stage: Stage) -> None:
    stage.do(MOD, c.MemberMute(room="r1", user="ann"))
    assert stage.refusal(ANN, say()).code == "muted"


@pytest.mark.parametrize("command", [say(), edit(0)], ids=["send", "edit"])
@pytest.mark.parametrize("action", ["block", "bounce"])
def test_the_policy_refuses_with_its_public_reason(stage: Stage, command: Any, action: Any) -> None:
    if isinstance(command, c.MessageEdit):
        command = edit(stage.send(ANN))
    refusal = stage.refusal(ANN, command, Verdict(action, "p", rule="secret", reason="No."))
    assert (refusal.code, refusal.message, refusal.field) == (
        f"{action}{'ed' if action == 'block' else 'd'}",
        "No.",
        "text",
    )
    assert "secret" not in str(refusal.reply(1))


def test_a_masked_text_takes_the_place_of_what_was_said(stage: Stage) -> None:
    mask = Verdict("mask", "p", text="•••")
    decision = stage.do(ANN, say("bad"), mask)
    assert message(decision).text == "•••"
    assert message(stage.do(ANN, edit(decision.events[0].pos, "bad"), mask)).text == "•••"


def test_a_held_message_waits_without_a_position(stage: Stage) -> None:
    decision = stage.do(ANN, say("hm", reply_to=None), HOLD)
    assert decision.events == ()
    assert not decision.pos
    (pending,) = stage.pending.values()
    assert decision.reply == {"held": True, "pending": pending.id}
    assert (pending.kind, pending.text, pending.actor, pending.release_at, pending.rule) == (
        "held",
        "hm",
        ANN,
        None,
        "links",
    )
    assert AddPending(pending, stage.limits.pending) in decision.effects
    approved = stage.do(MOD, c.MessageApprove(room="r1", pending=pending.id))
    (event,) = approved.events
    assert (event.by.id, message(approved).text) == ("ann", "hm")
    assert approved.effects == (TakePending(pending.id, "ann", "approved"),)
    assert stage.refusal(MOD, c.MessageApprove(room="r1", pending=pending.id)).code == "not_found"


def test_denying(stage: Stage) -> None:
    stage.do(ANN, say(), HOLD)
    (pending,) = stage.pending
    decision = stage.do(MOD, c.MessageDeny(room="r1", pending=pending))
    assert decision == Decision(effects=(TakePending(pending, "ann", "denied"),), pos=False)
    assert stage.refusal(MOD, c.MessageDeny(room="r1", pending=pending)).code == "not_found"


def test_an_edit_cannot_be_held(stage: Stage) -> None:
    refusal = stage.refusal(ANN, edit(stage.send(ANN)), HOLD)
    assert (refusal.code, refusal.field) == ("bounced", "text")


@room_with(delay_seconds=10)
def test_messages_are_delayed_but_not_moderators(stage: Stage) -> None:
    now = stage.now
    decision = stage.do(ANN, say())
    (pending,) = stage.pending.values()
    assert decision.reply == {"delayed": True, "pending": pending.id}
    assert (pending.kind, pending.release_at) == ("delayed", now + 10_000)
    assert stage.send(MOD)
    released = stage.do(ANN, Release(pending))
    assert released.events[0].by.id == "ann"
    assert released.effects == (TakePending(pending.id, "ann", "released"),)


AFTERWARDS: dict[str, Any] = {
    "muted": (MOD, c.MemberMute(room="r1", user="ann")),
    "banned": (MOD, c.MemberBan(room="r1", user="ann")),
    "kicked": (MOD, c.MemberKick(room="r1", user="ann")),
    "left": (ANN, c.MemberLeave(room="r1")),
    "locked": (MOD, c.RoomUpdate(room="r1", settings=SettingsPatch(locked=True))),
    "write": (OLGA, c.RoomUpdate(room="r1", settings=SettingsPatch(write="moderators"))),
    "closed": (OLGA, c.RoomClose(room="r1")),
}


@pytest.mark.parametrize("visibility", ["public", "private"])
@pytest.mark.parametrize("what", AFTERWARDS)
def test_a_waiting_message_is_decided_again_when_it_is_released(what: str, visibility: str) -> None:
    stage = Stage(visibility=visibility)
    stage.join(MOD, ANN)
    stage.promote(MOD, "moderator")
    stage.do(ANN, say(), HOLD)
    (pending,) = stage.pending.values()
    stage.do(*AFTERWARDS[what])
    assert stage.refusal(ANN, Release(pending)).code in ("muted", "banned", "locked", "forbidden")
    refusal = stage.refusal(MOD, c.MessageApprove(room="r1", pending=pending.id))
    expected = ("forbidden", "closed") if what == "closed" else ("forbidden", "pending")
    assert (refusal.code, refusal.field) == expected


@room_with(slow_seconds=10)
def test_slow_mode(stage: Stage) -> None:
    decision = stage.do(ANN, say())
    assert decision.effects == (SpaceMessages("ann", stage.now - 1_000, 10_000),)
    refusal = stage.refusal(ANN, say())
    assert (refusal.code, refusal.retry, refusal.retry_after_ms) == ("slow_mode", True, 9_000)
    stage.send(MOD)
    stage.send(MOD)
    stage.send(BOB)
    stage.now = NOW + 3_600_000
    stage.send(ANN)
    stage.now += 8_999
    assert stage.refusal(ANN, say()).retry_after_ms == 1
    stage.now += 1
    stage.send(ANN)


def test_slow_mode_counts_from_a_message_before_it_was_switched_on(stage: Stage) -> None:
    stage.send(ANN)
    stage.do(MOD, c.RoomUpdate(room="r1", settings=SettingsPatch(slow_seconds=60)))
    assert stage.refusal(ANN, say()).retry_after_ms == 58_000


@room_with(slow_seconds=10)
def test_slow_mode_counts_messages_that_wait(stage: Stage) -> None:
    stage.do(ANN, say(), HOLD)
    assert stage.refusal(ANN, say()).code == "slow_mode"


@room_with(unique=True)
def test_repeats(stage: Stage) -> None:
    start = stage.now
    stage.send(ANN, "same")
    refusal = stage.refusal(ANN, say("same"))
    assert (refusal.code, refusal.field, refusal.retry_after_ms) == ("duplicate_text", "text", 29_000)
    stage.send(BOB, "same")
    stage.send(ANN, "other")
    assert stage.refusal(ANN, say("same")).code == "duplicate_text"
    stage.send(MOD, "mine")
    stage.send(MOD, "mine")
    stage.now = start + 29_999
    assert stage.refusal(ANN, say("same")).code == "duplicate_text"
    stage.now = start + 30_000
    stage.send(ANN, "same")


@room_with(emoji_only=True)
def test_emoji_only(stage: Stage) -> None:
    stage.send(ANN, "👍 🎉")
    pos = stage.send(ANN, "🎉")
    for command in (say("hello"), say("1"), edit(pos, "words")):
        refusal = stage.refusal(ANN, command)
        assert (refusal.code, refusal.field) == ("forbidden", "emoji_only")
    stage.send(MOD, "words")


@room_with(max_text=5)
def test_length_is_counted_in_characters(stage: Stage) -> None:
    pos = stage.send(ANN, "😀" * 5)
    for command in (say("x" * 6), edit(pos, "x" * 6)):
        refusal = stage.refusal(ANN, command)
        assert (refusal.code, refusal.field) == ("too_long", "text")
    assert stage.refusal(MOD, say("x" * 6)).code == "too_long"


@pytest.mark.parametrize("text", ["\u200b", "a\x00b", "\ud800"], ids=ascii)
def test_texts_that_may_not_stand(stage: Stage, text: str) -> None:
    pos = stage.send(ANN)
    for command in (say(text), edit(pos, text)):
        refusal = stage.refusal(ANN, command)
        assert (refusal.code, refusal.field) == ("bad_request", "text")


@room_with(min_account_hours=2)
def test_new_accounts_wait(stage: Stage) -> None:
    hour = 3_600_000
    stage.now = NOW
    refusal = stage.refusal(user("ann", created=NOW - hour), say())
    assert (refusal.code, refusal.field, refusal.retry_after_ms) == ("forbidden", "min_account_hours", hour)
    stage.send(user("ann", created=NOW - 2 * hour))
    stage.send(ANN)
    stage.send(user("mod", created=NOW))


@room_with(write="entitled", entitlement="gold")
def test_paid_rooms(stage: Stage) -> None:
    refusal = stage.refusal(user("ann", entitlements=("silver",)), say())
    assert (refusal.code, refusal.field) == ("entitlement_required", "entitlement")
    stage.send(user("eve", entitlements=("silver", "gold")))
    stage.send(MOD)


def test_replies_quote_what_reads_now(stage: Stage) -> None:
    pos = stage.send(BOB, "x" * 300)
    reply = stage.do(ANN, say(reply_to=pos))
    quote = message(reply).reply_to
    assert quote == e.Quote(pos, stage.room.by(BOB), "x" * 199 + "…")
    stage.do(BOB, edit(pos, "new"))
    changed = message(stage.do(ANN, edit(reply.events[0].pos))).reply_to
    assert changed == e.Quote(pos, stage.room.by(BOB), "new")
    stage.do(BOB, c.MessageDelete(room="r1", target=pos))
    changed = message(stage.do(ANN, edit(reply.events[0].pos))).reply_to
    assert changed == e.Quote(pos, deleted=True)


def test_an_edit_keeps_saying_what_it_answers_when_that_is_not_at_hand(stage: Stage) -> None:
    first = stage.send(BOB)
    reply = stage.send(ANN, reply_to=first)
    quoted = stage.room.messages.pop(first)
    stage.room.whole = False
    assert needs(stage.room, "ann", edit(reply), NOW).messages == {first}
    assert message(stage.copy().do(ANN, edit(reply))).reply_to == e.Quote(first)
    stage.room.know_message(first, quoted)
    assert message(stage.do(ANN, edit(reply))).reply_to == e.Quote(first, stage.room.by(BOB), "hello")


@pytest.mark.parametrize("reply_to", [1, 9_999])
def test_replies_to_what_is_no_message(stage: Stage, reply_to: int) -> None:
    refusal = stage.refusal(ANN, say(reply_to=reply_to))
    assert (refusal.code, refusal.field) == ("not_found", "reply_to")


def test_edits_are_the_authors(stage: Stage) -> None:
    pos = stage.send(ANN)
    for actor in (BOB, MOD, OLGA, ROOT):
        refusal = stage.refusal(actor, edit(pos))
        assert (refusal.code, refusal.field) == ("forbidden", "target")
    body = message(stage.do(ANN, edit(pos, "new @bob")))
    assert body == e.Body(text="new @bob", n=1, mentions=("bob",))
    stage.do(ANN, c.MessageDelete(room="r1", target=pos))
    assert stage.refusal(ANN, edit(pos)).code == "not_found"


@room_with(limits=Limits(edit_ms=60_000))
def test_late_edits(stage: Stage) -> None:
    start = stage.now
    pos = stage.send(ANN)
    stage.now = start + 60_000
    stage.do(ANN, edit(pos))
    stage.now = start + 60_001
    refusal = stage.refusal(ANN, edit(pos))
    assert (refusal.code, refusal.field) == ("forbidden", "edit_seconds")


def test_no_edit_slips_past_the_moderators_of_a_delayed_room(stage: Stage) -> None:
    pos, own = stage.send(ANN), stage.send(OLGA)
    stage.do(OLGA, c.RoomUpdate(room="r1", settings=SettingsPatch(delay_seconds=5)))
    refusal = stage.refusal(ANN, edit(pos))
    assert (refusal.code, refusal.field) == ("forbidden", "delay_seconds")
    stage.do(OLGA, edit(own))


def test_deletions(stage: Stage) -> None:
    mine, theirs, other = stage.send(ANN), stage.send(BOB), stage.send(OLGA)
    refusal = stage.refusal(ANN, c.MessageDelete(room="r1", target=theirs))
    assert (refusal.code, refusal.field) == ("forbidden", "target")
    stage.do(ANN, c.MessageDelete(room="r1", target=mine))
    assert stage.refusal(ANN, c.MessageDelete(room="r1", target=mine)).code == "not_found"
    stage.do(MOD, c.MessageDelete(room="r1", target=other, reason="off topic"))
    refusal = stage.refusal(MOD, c.MessageDelete(room="r1", target=theirs, reason="\x00"))
    assert (refusal.code, refusal.field) == ("bad_request", "reason")


def test_mentions_of_everybody_are_for_moderators_of_rooms_that_are_not_too_large(stage: Stage) -> None:
    assert message(stage.do(MOD, say("@all @ann"))).mentions == ("all", "ann")
    assert message(stage.do(ANN, say("@all @bob"))).mentions == ("bob",)
    stage.limits = Limits(presence_names=3)
    assert message(stage.do(OLGA, say("@all @ann"))).mentions == ("ann",)


def test_mentions_come_from_what_was_looked_up(stage: Stage) -> None:
    command = say("@ann and @Bob Bee")
    assert needs(stage.room, "ann", command, NOW).names == {
        "ann",
        "ann and",
        "ann and ",
        "ann and @Bob",
        "ann and @Bob Bee",
        "Bob",
        "Bob Bee",
    }
    facts = Facts(named=Named(frozenset(), {"bob bee": "bob"}))
    decision = decide(stage.room, ANN, command, Moment(now=NOW, facts=facts, verdict=ALLOW))
    assert isinstance(decision, Decision)
    assert message(decision).mentions == ("bob",)


def react(target: int, emoji: str = "👍") -> c.MessageReact:
    return c.MessageReact(room="r1", target=target, emoji=emoji)


def unreact(target: int, emoji: str = "👍") -> c.MessageUnreact:
    return c.MessageUnreact(room="r1", target=target, emoji=emoji)


def test_reactions(stage: Stage) -> None:
    pos = stage.send(ANN)
    assert isinstance(stage.do(BOB, react(pos)).events[0], e.MessageReacted)
    assert stage.do(BOB, react(pos)).reply == {"duplicate": True}
    assert stage.do(ANN, unreact(pos)).reply == {"duplicate": True}
    assert isinstance(stage.do(BOB, unreact(pos)).events[0], e.MessageUnreacted)
    assert stage.do(BOB, unreact(pos)).reply == {"duplicate": True}
    assert stage.refusal(BOB, react(pos, "no emoji")).field == "emoji"
    assert stage.refusal(BOB, react(1)).code == "not_found"


def test_a_message_bears_twenty_kinds_of_reaction(stage: Stage) -> None:
    pos = stage.send(ANN)
    for n in range(20):
        stage.do(BOB, react(pos, f":e{n}:"))
    refusal = stage.refusal(ANN, react(pos, ":e20:"))
    assert (refusal.code, refusal.field) == ("too_many", "emoji")
    stage.do(ANN, react(pos, ":e19:"))
    stage.do(BOB, unreact(pos, ":e0:"))
    stage.do(ANN, react(pos, ":e20:"))


@room_with(kind="live")
def test_reactions_of_live_rooms_stand_beside_the_log(stage: Stage) -> None:
    pos = stage.send(ANN)
    assert stage.do(BOB, react(pos)) == Decision(effects=(React(pos, "bob", "👍", True, 20),), pos=False)
    assert stage.do(BOB, unreact(pos)) == Decision(effects=(React(pos, "bob", "👍", False, 20),), pos=False)
    assert stage.refusal(BOB, react(1)).code == "not_found"


def pin(target: int, seconds: int | None = None) -> c.MessagePin:
    return c.MessagePin(room="r1", target=target, seconds=seconds)


def test_pins(stage: Stage) -> None:
    pos, unpin = stage.send(ANN), c.MessageUnpin(room="r1", target=stage.room.pos)
    stage.do(MOD, pin(pos))
    assert stage.do(MOD, pin(pos)).reply == {"duplicate": True}
    (event,) = stage.do(MOD, pin(pos, 60)).events
    assert isinstance(event, e.MessagePinned)
    assert event.until == event.at + 60_000
    stage.now += 60_000
    assert stage.do(MOD, unpin).reply == {"duplicate": True}
    stage.do(MOD, pin(pos))
    assert isinstance(stage.do(MOD, unpin).events[0], e.MessageUnpinned)
    assert stage.do(MOD, unpin).reply == {"duplicate": True}
    assert stage.refusal(MOD, pin(1)).code == "not_found"


@room_with(limits=Limits(pins=2))
def test_pins_are_bounded_and_expired_ones_do_not_count(stage: Stage) -> None:
    first, second, third = stage.send(ANN), stage.send(ANN), stage.send(ANN)
    stage.do(MOD, pin(first))
    stage.do(MOD, pin(second, 60))
    refusal = stage.refusal(MOD, pin(third))
    assert (refusal.code, refusal.field) == ("too_many", "target")
    stage.do(MOD, pin(second))
    stage.do(MOD, pin(second, 60))
    stage.now += 60_000
    stage.do(MOD, pin(third))


@room_with(history="from_join")
def test_messages_from_before_ones_time_are_not_there(stage: Stage) -> None:
    before, own = stage.send(BOB), stage.send(ANN)
    stage.do(ANN, c.MemberLeave(room="r1"))
    stage.join(ANN)
    after = stage.send(BOB)
    for command in (
        say(reply_to=before),
        edit(before),
        c.MessageDelete(room="r1", target=before),
        react(before),
        unreact(before),
        c.ReportCreate(room="r1", target=before, reason="x"),
    ):
        assert stage.refusal(ANN, command).code == "not_found"
    stage.do(ANN, react(after))
    stage.do(ANN, edit(own))
    stage.do(ANN, c.MessageDelete(room="r1", target=own))
    stage.do(MOD, c.MessageDelete(room="r1", target=before))
