"""What gateways have said of viewers is kept for a while; a revocation outlasts the answers that did not know of it."""

import asyncio

import pytest

from relay import rights
from relay.ports import Bearer, Refused
from relay.rights import DENIED_SECONDS, KEPT_SECONDS, UNUSED_SECONDS, Rights
from tests.relay.rtc.support import Everybody

BOB = Bearer("bob")


class Slow:
    """A gateway that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[bool]] = []

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]


class Stage:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.wall = 0
        self.gateway = Slow()
        self.rights = Rights(self.gateway, lambda: self.wall, lambda: self.now)

    async def ask(self, bearer: Bearer = BOB) -> asyncio.Task[bool]:
        """As far as to the gateway, where it is asked."""
        asking = asyncio.create_task(self.rights.may_watch("r1", bearer))
        for _ in range(3):
            await asyncio.sleep(0)
        return asking


async def test_one_answer_is_for_all_who_ask_and_for_a_while() -> None:
    stage = Stage()
    first, second = await stage.ask(), await stage.ask()
    (asked,) = stage.gateway.asked
    asked.set_result(True)
    assert await first
    assert await second
    stage.now += KEPT_SECONDS - 1
    assert await stage.rights.may_watch("r1", BOB)
    stage.now += 1
    third = await stage.ask()
    stage.gateway.asked[1].set_exception(Refused("unavailable", "no gateway"))
    assert await third, "what was said last holds"


async def test_what_is_known_of_those_who_have_left_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of who goes on to ask it is not, whether or not a gateway answers."""
    monkeypatch.setattr(rights, "ASK_AGAIN_SECONDS", 0.0)
    now = 0.0
    gateway = Everybody()
    kept = Rights(gateway, lambda: 0, lambda: now)
    asking = asyncio.create_task(kept.ask_again(list, lambda room, bearer: None))
    for number in range(1_000):
        assert await kept.may_watch("r1", Bearer(f"u{number}"))
        kept.revoke("r2", f"u{number}")
    assert len(kept._known) == len(kept._denied) == 1_000
    gateway.away = True
    for _ in range(10):
        now += UNUSED_SECONDS / 2
        assert await kept.may_watch("r1", Bearer("u7"))
    async with asyncio.timeout(10):
        while len(kept._known) > 1 or kept._denied:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    assert await kept.may_watch("r1", Bearer("u7"))
    with pytest.raises(Refused):
        await kept.may_watch("r1", Bearer("u8"))
    asking.cancel()
    await asyncio.wait([asking])


async def test_an_answer_that_was_on_its_way_lets_nobody_in_who_was_revoked() -> None:
    stage = Stage()
    asking = await stage.ask()
    stage.rights.revoke("r1", "bob")
    assert not await asking
    assert not await stage.rights.may_watch("r1", BOB)
    assert not await stage.rights.may_watch("r1", Bearer("bob", True, 1 << 60))
    assert len(stage.gateway.asked) == 1, "a gateway that has not heard of it yet would say yes"
    stage.rights.refresh("r1")
    stage.wall += 1_000_000
    assert stage.rights.denies("r1", BOB), "only time ends it, and no clock that is set"
    assert not stage.rights.denies("r2", BOB)
    stage.now += DENIED_SECONDS
    again = await stage.ask()
    stage.gateway.asked[1].set_result(True)
    assert await again


async def test_a_revocation_counts_that_comes_between_an_answer_and_who_waits_for_it() -> None:
    stage = Stage()
    asking = await stage.ask()
    (asked,) = stage.gateway.asked
    asked.set_result(True)
    asked.add_done_callback(lambda _: stage.rights.revoke("r1", "bob"))
    assert not await asking
    again = await stage.ask()
    assert not await again


async def test_who_asks_once_all_has_changed_is_not_given_an_answer_from_before() -> None:
    stage = Stage()
    before = await stage.ask()
    stage.rights.refresh("r1")
    after = await stage.ask()
    stage.gateway.asked[0].set_result(False)
    assert not await before
    stage.gateway.asked[1].set_result(True)
    assert await after
    assert await stage.rights.may_watch("r1", BOB)


async def test_a_grant_ends_with_its_token() -> None:
    stage = Stage()
    granted = Bearer("bob", True, 1_000)
    asking = await stage.ask(granted)
    stage.gateway.asked[0].set_result(True)
    assert await asking
    stage.wall = 1_000
    assert not await stage.rights.may_watch("r1", granted)


class Answering:
    """A gateway that knows one room, where nobody may watch any more."""

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        if room != "known":
            raise Refused("unavailable", "This room cannot be loaded.")
        return False


async def test_a_room_that_nobody_knows_of_keeps_no_other_from_being_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rights, "ASK_AGAIN_SECONDS", 0.0)
    sent_away: asyncio.Future[tuple[str, Bearer]] = asyncio.get_running_loop().create_future()
    watching = {("known", BOB), *((f"r{number}", BOB) for number in range(50))}

    def send_away(room: str, bearer: Bearer) -> None:
        if not sent_away.done():
            sent_away.set_result((room, bearer))

    task = asyncio.create_task(Rights(Answering(), lambda: 0).ask_again(lambda: watching, send_away))
    assert await asyncio.wait_for(sent_away, 10) == ("known", BOB)
    task.cancel()


def test_denials_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "MOST", 2)
    stage = Stage()
    for user in ("ann", "bob", "cat"):
        stage.rights.revoke("r1", user)
    assert [stage.rights.denies("r1", Bearer(user)) for user in ("ann", "bob", "cat")] == [False, True, True]
    assert stage.rights.forgotten == 1
    stage.now += DENIED_SECONDS
    for user in ("dan", "eve"):
        stage.rights.revoke("r1", user)
    assert stage.rights.forgotten == 1, "those whose time is over are no more"
