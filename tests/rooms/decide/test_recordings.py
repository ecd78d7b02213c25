"""What becomes of recordings."""

from typing import Any

import pytest

from rooms import commands as c
from rooms.actors import Role
from rooms.decide import Decision, Facts, Moment, decide
from rooms.drafts import Draft, Verdict
from rooms.effects import ChangeRecording, Recording
from rooms.errors import Rejected
from tests.rooms.stage import ALLOW, NOW, Stage, user

RECORDING = Recording(
    id="rec1", room="r1", user="olga", session="s", title="T", state="listed", started_at=NOW, length_ms=1, bytes=1,
    width=2, height=2, parts=1, folder="rec1", node="n", first_pos=1, last_pos=None,
)  # fmt: skip


def update(verdict: Verdict | None, **changes: Any) -> Decision | Draft:
    command = c.RecordingUpdate(room="r1", recording="rec1", **changes)
    moment = Moment(now=NOW, facts=Facts(recording=RECORDING), verdict=verdict)
    return decide(Stage(owner=user("olga")).room, user("olga"), command, moment)


def test_a_new_title_is_judged_first() -> None:
    assert update(None, title="Best") == Draft("title", "r1", "olga", Role.OWNER, "Best", "default")
    for verdict, title in ((ALLOW, "Best"), (Verdict("mask", "p", text="••••"), "••••")):
        decision = update(verdict, title="Best", listed=False)
        assert decision == Decision(effects=(ChangeRecording("rec1", title, "unlisted"),), pos=False)


def test_a_new_title_leaves_the_state_as_it_is() -> None:
    """It may be another one by the time that this is written."""
    assert update(ALLOW, title="Best") == Decision(effects=(ChangeRecording("rec1", "Best"),), pos=False)


@pytest.mark.parametrize(("action", "code"), [("block", "blocked"), ("bounce", "bounced"), ("hold", "bounced")])
def test_a_title_that_the_policy_refuses(action: Any, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        update(Verdict(action, "p", reason="Because."), title="Best")
    assert (refused.value.code, refused.value.message, refused.value.field) == (code, "Because.", "title")


def test_where_the_title_stays_nobody_judges_it() -> None:
    assert update(None, title="T") == Decision(reply={"duplicate": True}, pos=False)
    assert update(None, title="T", listed=False) == Decision(
        effects=(ChangeRecording("rec1", None, "unlisted"),), pos=False
    )
