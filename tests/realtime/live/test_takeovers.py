"""Two owners whose encoders come back whenever they are replaced: after a while the running one stays."""

import pytest

from realtime.live.gate import Gate
from relay.ports import Admitted, Refused
from rooms import commands as c
from rooms.live import HELD_MS, MOST_TAKEOVERS, TAKEOVERS_MS
from tests.realtime.live.stage import BOB, OWNER, ROOM, Stage

OWNERS = (OWNER, BOB)


@pytest.fixture
async def owners(stage: Stage) -> Stage:
    await stage.do(BOB, c.MemberJoin(room=ROOM))
    await stage.do(OWNER, c.MemberRole(room=ROOM, user=BOB.user, role="owner"))
    return stage


async def publish(stage: Stage, turn: int, gate: Gate | None = None) -> Admitted:
    """The owner whose turn it is, as far as to be seen."""
    gate = gate or stage.gate()
    admitted = await gate.admit(await stage.claim(OWNERS[turn % 2]))
    await gate.flowing(ROOM, admitted.session, admitted.fence)
    return admitted


async def fight(stage: Stage) -> Admitted:
    """Until the next one would be refused."""
    for turn in range(MOST_TAKEOVERS + 1):
        stage.now += 1_000
        last = await publish(stage, turn)
    return last


async def test_the_running_one_stays_for_a_while(owners: Stage) -> None:
    stage = owners
    running = await fight(stage)
    for _ in range(3):
        stage.now += 5_000
        with pytest.raises(Refused, match="replace each other") as refused:
            await publish(stage, MOST_TAKEOVERS + 1, stage.gate("another node's"))
        assert refused.value.code == "rate_limited"
    assert refused.value.retry_after_ms == HELD_MS - 15_000
    now = await stage.store.stream(ROOM)
    assert (now.user, now.fence, now.state) == (running.user, running.fence, "flowing")
    stage.now += 1_000
    again = await publish(stage, MOST_TAKEOVERS)
    assert again.session == running.session, "its own encoder may come back"
    stage.now += HELD_MS
    assert (await publish(stage, MOST_TAKEOVERS + 1)).session != running.session
    stage.now += 1_000
    await publish(stage, MOST_TAKEOVERS)


async def test_takeovers_that_are_rare_are_all_allowed(owners: Stage) -> None:
    for turn in range(3 * MOST_TAKEOVERS):
        owners.now += TAKEOVERS_MS // 2
        await publish(owners, turn)


async def test_where_nobody_publishes_nothing_is_contested(owners: Stage) -> None:
    stage = owners
    running = await fight(stage)
    await stage.gate().left(ROOM, running.session, running.fence, "gone")
    await publish(stage, MOST_TAKEOVERS + 1)


async def test_one_owner_may_come_back_as_often_as_they_like(owners: Stage) -> None:
    sessions = {(await publish(owners, 0)).session for _ in range(5 * MOST_TAKEOVERS)}
    assert len(sessions) == 1
