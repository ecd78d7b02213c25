"""Other platforms that a creator streams to."""

import asyncio

import pytest

from realtime.ports.lives import StoredDestination
from rooms import commands as c
from rooms.errors import Rejected
from tests.realtime.live.stage import OWNER, ROOM, Stage, flow, until


async def test_destinations_take_effect_while_live_and_never_show_their_keys(stage: Stage) -> None:
    await flow(stage)
    add = c.DestinationAdd(name="Other", url="rtmp://live.example.com/app", stream_key="hush-hush")
    made = (await stage.do(OWNER, add))["destination"]
    assert "hush-hush" not in str(await stage.do(OWNER, c.DestinationList()))
    await until(lambda: ("one", ROOM, ("rtmp://live.example.com/app/hush-hush",)) in stage.media.pushed)
    with pytest.raises(Rejected) as refusal:
        await stage.do(OWNER, add)
    assert (refusal.value.code, refusal.value.field) == ("exists", "name")
    await stage.do(OWNER, c.DestinationUpdate(destination=made["id"], enabled=False))
    await until(lambda: stage.media.pushed[-1] == ("one", ROOM, ()))
    await stage.do(OWNER, c.DestinationRemove(destination=made["id"]))
    assert (await stage.do(OWNER, c.DestinationList()))["destinations"] == []


async def test_the_last_change_is_what_holds_however_slow_the_store_was_before(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flow(stage)
    await until(lambda: stage.media.pushed)
    before = len(stage.media.pushed)
    read, asked, go_on = stage.store.destinations, asyncio.Event(), asyncio.Event()

    async def slow(user: str) -> list[StoredDestination]:
        found = await read(user)
        if not asked.is_set():
            asked.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(stage.store, "destinations", slow)
    add = c.DestinationAdd(name="Other", url="rtmp://live.example.com/app", stream_key="hush-hush")
    made = (await stage.do(OWNER, add))["destination"]
    await asked.wait()
    await stage.do(OWNER, c.DestinationRemove(destination=made["id"]))
    for _ in range(20):  # so much time that it could be told before
        await stage.do(OWNER, c.DestinationList())
    go_on.set()
    await until(lambda: len(stage.media.pushed) == before + 2)
    assert stage.media.pushed[-1] == ("one", ROOM, ())


async def test_a_kept_key_is_not_sent_to_another_address(stage: Stage) -> None:
    add = c.DestinationAdd(name="Other", url="rtmp://live.example.com/app", stream_key="hush-hush")
    made = (await stage.do(OWNER, add))["destination"]["id"]
    elsewhere = "rtmp://elsewhere.example.com/app"
    with pytest.raises(Rejected) as refusal:
        await stage.do(OWNER, c.DestinationUpdate(destination=made, url=elsewhere))
    assert (refusal.value.code, refusal.value.field) == ("bad_request", "stream_key")
    await stage.do(OWNER, c.DestinationUpdate(destination=made, name="Same", url=add.url))
    assert [one.url for one in await stage.live.destinations.of("ann")] == [f"{add.url}/hush-hush"]
    await stage.do(OWNER, c.DestinationUpdate(destination=made, url=elsewhere, stream_key="another"))
    assert [one.url for one in await stage.live.destinations.of("ann")] == [f"{elsewhere}/another"]


@pytest.mark.parametrize("url", ["http://a/b", "rtmp://", "rtmp://a", "rtmp://u:p@a/b", "rtmp://a:x/b", "rtmp://a/ b"])
async def test_a_destination_is_an_rtmp_address(stage: Stage, url: str) -> None:
    with pytest.raises(Rejected) as refusal:
        await stage.do(OWNER, c.DestinationAdd(name="A", url=url, stream_key="k"))
    assert refusal.value.field == "url"
