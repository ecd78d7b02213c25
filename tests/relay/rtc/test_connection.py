"""Sessions that are over leave nothing to collect."""

import gc
import weakref

import pytest

from tests.relay.rtc.support import publishing, running, until, watching


@pytest.mark.parametrize("hung_up", [True, False], ids=["by us", "by the client"])
async def test_a_session_that_is_over_is_in_no_cycle(hung_up: bool) -> None:
    gc.disable()
    try:
        async with running() as (rtc, door):
            async with publishing(rtc) as (_, published):
                await until(lambda: door.intakes[0].of("video"))
                async with watching(rtc) as (watcher, watched):
                    await until(lambda: watcher.frames["video"])
                    left = [weakref.ref(one) for one in rtc._connections.values()]
                    assert len(left) == 2
                    if hung_up:
                        await rtc.hang_up(watched.resource)
                        await rtc.hang_up(published.resource)
            await until(lambda: [one() for one in left] == [None, None])
    finally:
        gc.enable()
