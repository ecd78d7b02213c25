"""`GET /v1/rooms/{room}/events`: pages of the log, and streams of it over real sockets."""

import asyncio
from pathlib import Path

import pytest

from realtime.fanout.hub import Hub
from realtime.fanout.sparing import Sparing
from realtime.http.streams import Stream
from rooms.actors import Actor
from tests.realtime.gateway.http_support import until
from tests.realtime.http.support import PATIENCE, House, bearer, housed, streaming
from tests.support.server import NO_LIMITS, token


async def _said(house: House, room: str, *texts: str) -> None:
    for text in texts:
        await house.did("ann", "message.send", room=room, text=text)


# Pages


async def test_a_page_is_what_room_events_answers(house: House) -> None:
    room = await house.room("ann")
    await _said(house, room, "a", "b", "c")
    for query in ({}, {"after": 1, "limit": 2}, {"before": 3}, {"after": 0}):
        page = await house.client.get(f"/v1/rooms/{room}/events", params=query, headers=bearer("ann"))
        assert page.status_code == 200
        assert page.json() == await house.did("ann", "room.events", room=room, **query)
    assert [event["pos"] for event in page.json()["events"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=x", "after"), ("after=-1", "after"), ("after=9007199254740992", "after"), ("before=0", "before"),
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=", "limit"), ("after=1&before=3", "before"),
        ("after=" + "9" * 5_000, "after"), ("after=１", "after"),
    ],
)  # fmt: skip
async def test_a_bad_query_names_its_field(house: House, query: str, field: str) -> None:
    room = await house.room("ann")
    page = await house.client.get(f"/v1/rooms/{room}/events?{query}", headers=bearer("ann"))
    assert (page.status_code, page.json()["code"], page.json()["field"]) == (400, "bad_request", field)


async def test_pages_are_for_who_may_see_the_room(house: House) -> None:
    room = await house.room("ann", visibility="private")
    path = f"/v1/rooms/{room}/events"
    ticket = (await house.did("ann", "ticket.create", room=room))["ticket"]
    assert (await house.client.get(path)).status_code == 401
    assert (await house.client.get(path, params={"ticket": ticket})).status_code == 200
    assert (await house.client.get(path, params={"token": token("ann")})).status_code == 200
    hidden = await house.client.get(path, headers=bearer("bob"))
    missing = await house.client.get("/v1/rooms/nothing/events", headers=bearer("bob"))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json() == missing.json()
    other = await house.room("ann")
    misused = await house.client.get(f"/v1/rooms/{other}/events", params={"ticket": ticket})
    assert (misused.status_code, misused.json()["field"]) == (401, "ticket")
    house.clock.ahead = 61_000
    assert (await house.client.get(path, params={"ticket": ticket})).status_code == 401
    house.clock.ahead = 0
    await house.service.store.log_out("ann", house.clock() + 1)
    assert (await house.client.get(path, params={"ticket": ticket})).status_code == 401


# Streams


async def test_a_stream_begins_with_joined_and_goes_on_live(house: House) -> None:
    room = await house.room("ann")
    async with streaming(house, room, "ann") as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        joined = await stream.next()
        assert joined.name == "joined"
        assert joined.data["pos"] == 1
        assert joined.data["recovered"] is False
        assert "events" not in joined.data
        assert joined.id == f"{joined.data['epoch']}:1"
        await _said(house, room, "two\nlines \u2028 & ünïcödé")
        message = await stream.named("message.created")
        assert message.id == f"{joined.data['epoch']}:2"
        assert message.data["message"]["text"] == "two\nlines \u2028 & ünïcödé"
        await house.did("ann", "typing", room=room)
        assert (await stream.named("typing")).id is None


async def test_the_last_event_id_recovers_what_was_missed(house: House) -> None:
    room = await house.room("ann")
    async with streaming(house, room, "ann") as stream:
        epoch = (await stream.next()).data["epoch"]
    await _said(house, room, "a", "b", "c")
    everything = [f"{epoch}:{pos}" for pos in (2, 3, 4)]
    for headers, query in (
        ({"Last-Event-ID": f"{epoch}:1"}, {}),
        ({"Last-Event-ID": f"{epoch}:1"}, {"last_event_id": f"{epoch}:3", "after": 4}),
        ({}, {"last_event_id": f"{epoch}:1"}),
        ({}, {"after": 1}),
    ):
        async with streaming(house, room, "ann", headers, **query) as stream:
            joined = await stream.next()
            assert (joined.data["recovered"], joined.id) == (True, None)
            assert [(await stream.next()).id for _ in everything] == everything
    async with streaming(house, room, "ann", {"Last-Event-ID": f"{epoch}:4"}) as stream:
        assert (await stream.next()).data["recovered"] is True


async def test_what_cannot_be_recovered_is_said(house: House) -> None:
    room = await house.room("ann")
    for event_id in ("elsewhere:1", "elsewhere:99"):
        async with streaming(house, room, "ann", {"Last-Event-ID": event_id}) as stream:
            joined = await stream.next()
            assert joined.data["recovered"] is False
            assert joined.id == f"{joined.data['epoch']}:1"


async def test_events_that_are_not_for_the_viewer_are_announced(house: House) -> None:
    room = await house.room("ann", settings={"history": "from_join"})
    await _said(house, room, "before")
    await house.did("bob", "member.join", room=room)
    async with streaming(house, room, "bob", after=0) as stream:
        epoch = (await stream.next()).data["epoch"]
        skip = await stream.next()
        assert (skip.name, skip.id) == ("room.skip", f"{epoch}:{skip.data['to']}")
        assert (await stream.named("member.joined")).data["user"] == "bob"


@pytest.mark.parametrize("event_id", ["7", "e:", ":7", "e:7:7", "e:-7", "é:7", "e:99999999999999999"])
async def test_an_event_id_that_is_none_is_refused(house: House, event_id: str) -> None:
    room = await house.room("ann")
    headers = bearer("ann") | {"Accept": "text/event-stream"}
    answer = await house.client.get(f"/v1/rooms/{room}/events", params={"last_event_id": event_id}, headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", "last_event_id")


async def test_no_event_is_lost_or_doubled_between_streams(tmp_path: Path) -> None:
    """A client that is cut off again and again while others write, and goes on from the last id it has."""
    texts = [str(n) for n in range(60)]
    async with housed(tmp_path, NO_LIMITS) as house:
        room = await house.room("ann")
        last: str | None = None
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as writing:
            writing.create_task(_said(house, room, *texts))
            while len(seen) < len(texts):
                query: dict[str, object] = {"after": 1} if last is None else {"last_event_id": last}
                async with streaming(house, room, "bob", None, **query) as stream:
                    assert (await stream.named("joined")).data["recovered"] is True
                    for _ in range(min(7, len(texts) - len(seen))):
                        message = await stream.named("message.created")
                        last = message.id
                        seen.append(message.data["message"]["text"])
    assert seen == texts


async def test_who_is_sent_away_hears_it_and_the_stream_ends(house: House) -> None:
    room = await house.room("ann")
    await house.did("bob", "member.join", room=room)
    async with streaming(house, room, "bob") as stream:
        await house.did("ann", "member.ban", room=room, user="bob", reason="spam")
        removed = (await stream.rest())[-1]
        assert (removed.name, removed.id) == ("room.removed", None)
        assert removed.data.items() >= {"code": "banned", "reason": "spam", "room": room}.items()
    again = await house.client.get(f"/v1/rooms/{room}/events", headers=bearer("bob") | {"Accept": "text/event-stream"})
    assert (again.status_code, again.json()["code"]) == (403, "banned")


async def test_a_user_with_a_stream_is_online_and_told_what_concerns_them(house: House) -> None:
    room = await house.room("ann")
    await house.did("bob", "member.join", room=room)
    async with streaming(house, room, "bob") as stream:
        assert (await stream.next()).name == "joined"
        members = (await house.did("ann", "member.list", room=room))["members"]
        assert [member["id"] for member in members if member["online"]] == ["bob"]
        await _said(house, room, "hello @bob")
        assert (await stream.named("mention")).data == {"type": "mention", "room": room, "pos": 3}
    await until(lambda: not house.app.streams.open)
    assert not house.service.users.online
    assert room not in house.service.hub.channels


async def test_a_user_has_so_many_connections(tmp_path: Path) -> None:
    async with housed(tmp_path, {"GALAXY_LIMITS__CONNECTIONS_PER_USER": "2"}) as house:
        room = await house.room("ann")
        async with streaming(house, room, "ann"), streaming(house, room, "ann"):
            headers = bearer("ann") | {"Accept": "text/event-stream"}
            third = await house.client.get(f"/v1/rooms/{room}/events", headers=headers)
            assert (third.status_code, third.json()["code"]) == (429, "too_many")
            async with streaming(house, room, "bob"):
                assert house.service.users.connections("ann") == 2
        await until(lambda: not house.app.streams.open)
        async with streaming(house, room, "ann"):
            pass


async def test_a_refused_stream_leaves_nothing_behind(house: House) -> None:
    room = await house.room("ann", visibility="private")
    for user, query in (("bob", {}), ("ann", {"after": "x"}), ("bob", {"after": 1})):
        headers = bearer(user) | {"Accept": "text/event-stream"}
        answer = await house.client.get(f"/v1/rooms/{room}/events", params=query, headers=headers)
        assert answer.status_code in (400, 404)
    assert not house.service.users.online
    assert not house.service.hub.channels
    assert not house.app.streams.open


async def test_a_stream_ends_with_its_token(tmp_path: Path) -> None:
    async with housed(tmp_path, {"GALAXY_LIMITS__HEARTBEAT_MS": "1000"}) as house:
        room = await house.room("ann")
        async with streaming(house, room, "ann") as stream:
            assert (await stream.next()).name == "joined"
            house.clock.ahead = 3_600_000
            await stream.rest()


async def test_a_stream_is_kept_alive_by_comments(tmp_path: Path) -> None:
    async with housed(tmp_path, {"GALAXY_LIMITS__HEARTBEAT_MS": "1000"}) as house:
        room = await house.room("ann")
        async with streaming(house, room, "ann") as stream:
            async with asyncio.timeout(PATIENCE):
                while not (await stream.next()).comment:
                    pass


async def test_logging_out_everywhere_ends_streams(house: House) -> None:
    room = await house.room("ann")
    async with streaming(house, room, "ann") as stream:
        await stream.next()
        await house.did("ann", "user.logout")
        await stream.rest()


async def test_a_reader_that_is_too_slow_is_cut_off_and_recovers(tmp_path: Path) -> None:
    async with housed(tmp_path, {"GALAXY_LIMITS__UNSENT_BYTES": "65536"}) as house:
        room = await house.room("ann")
        noise = {"type": "noise", "room": room, "pad": "x" * 50_000}
        async with streaming(house, room, "bob") as stream:
            joined = await stream.next()
            await _said(house, room, "first")
            assert (await stream.named("message.created")).id == f"{joined.data['epoch']}:2"
            (kept,) = house.app.streams.open
            most = 0
            async with asyncio.timeout(PATIENCE):
                while not kept.ended:
                    house.service.hub.publish(room, [noise])
                    house.service.hub.flush_all()
                    await asyncio.sleep(0)
                    most = max(most, kept.unsent)
            assert most <= 65_536 + 2 * 51_000
            assert house.service.hub.counters.slow == 1
            await _said(house, room, "second")
            last = joined
            for received in await stream.rest():
                last = received if received.id else last
        async with streaming(house, room, "bob", {"Last-Event-ID": f"{joined.data['epoch']}:2"}) as stream:
            assert (await stream.next()).data["recovered"] is True
            assert (await stream.next()).data["message"]["text"] == "second"


async def test_draining_tells_clients_to_come_back(house: House) -> None:
    room = await house.room("ann")
    async with streaming(house, room, "ann") as one, streaming(house, room, "bob") as other:
        house.app.end_streams()
        for stream in (one, other):
            assert [received.name for received in await stream.rest()][-1] == "reconnect"
    await until(lambda: not house.app.streams.open)
    assert not house.service.users.online


async def test_viewers_without_a_name_may_follow_public_live_rooms_where_that_is_on(tmp_path: Path) -> None:
    async with housed(tmp_path, {"GALAXY_AUTH__ANONYMOUS": "true"}) as house:
        live, group = await house.room("ann", kind="live"), await house.room("ann")
        async with streaming(house, live) as stream:
            assert (await stream.next()).data["you"]["role"] == "none"
            await _said(house, live, "hi")
            assert (await stream.named("message.created")).data["message"]["text"] == "hi"
            assert not house.service.users.online
        for path, accept in ((group, "text/event-stream"), (live, "application/json")):
            answer = await house.client.get(f"/v1/rooms/{path}/events", headers={"Accept": accept})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_without_that_a_stream_needs_a_token(house: House) -> None:
    live = await house.room("ann", kind="live")
    answer = await house.client.get(f"/v1/rooms/{live}/events", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("text/event-stream", True), ("Text/Event-Stream;q=1", True), ("application/json, text/event-stream", True),
        ("*/*", False), ("application/json", False), ("text/html", False),
    ],
)  # fmt: skip
async def test_a_stream_is_what_the_client_accepts(house: House, accept: str, streams: bool) -> None:
    room = await house.room("ann")
    headers = bearer("ann") | {"Accept": accept}
    async with house.client.stream("GET", f"/v1/rooms/{room}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream") is streams
    head = await house.client.head(f"/v1/rooms/{room}/events", headers=headers)
    assert head.headers["content-type"] == "application/json"


async def test_what_is_told_before_the_join_is_left_out() -> None:
    hub = Hub(0, lambda channel: None, lambda room: None, lambda seconds: None, Sparing(0, 200))
    stream = Stream("r", Actor(user="ann", name="Ann"), 1_000, hub)
    stream.tell({"type": "user.changed", "rooms": []})
    stream.joined({"epoch": "e", "pos": 1, "events": [], "recovered": False})
    assert (await stream.next()).startswith(b"id: e:1\nretry: 1000\nevent: joined\n")
