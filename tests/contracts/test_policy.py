"""What every Policy does, run on each adapter."""

import inspect
from collections.abc import Callable

import pytest

from moderation import WordList
from realtime.ports import Policy
from rooms.actors import Role
from rooms.drafts import Draft, Verdict

ADAPTERS: dict[str, Callable[[], Policy]] = {
    "words": lambda: WordList(blocked=["villain"], masked=["rascal"]),
    "no words": WordList,
}
TEXTS = [
    "",
    "hello",
    "a villain",
    "a rascal",
    "\x00",
    "\ud800",
    "e\u0301" * 50,
    "[a-z]+(",
    "\u200b",
    "🏳️‍🌈",
    "好" * 4_000,
]


@pytest.fixture(params=ADAPTERS)
def policy(request: pytest.FixtureRequest) -> Policy:
    return ADAPTERS[request.param]()


async def judge(policy: Policy, text: str, name: str = "default", what: str = "message") -> Verdict:
    verdict = policy.judge(Draft(what, "r", "ann", Role.MEMBER, text, name))  # type: ignore[arg-type]  # of a table
    return await verdict if inspect.isawaitable(verdict) else verdict


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("what", ["message", "edit", "title"])
async def test_answers_any_text_with_a_whole_verdict(policy: Policy, text: str, what: str) -> None:
    verdict = await judge(policy, text, what=what)
    assert verdict.policy.startswith("default@")
    if verdict.action == "allow":
        assert verdict == Verdict("allow", verdict.policy)
    else:
        assert verdict.rule
        assert verdict.reason
    assert bool(verdict.text) == (verdict.action == "mask")


@pytest.mark.parametrize("text", TEXTS)
async def test_none_allows_everything(policy: Policy, text: str) -> None:
    assert await judge(policy, text, "none") == Verdict("allow", "none")


async def test_judges_the_same_text_the_same_way(policy: Policy) -> None:
    assert [await judge(policy, text) for text in TEXTS] == [await judge(policy, text) for text in TEXTS]
