"""Who is being sent a recording, and may not have it any more, is cut off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from realtime.auth import ticket_secret
from realtime.edge.passes import Passes
from realtime.edge.process import EdgeServer, assembled
from realtime.edge.replay import PIECE, InPieces, Replay
from realtime.gateway.binding import bind
from realtime.gateway.server import running
from relay import cmaf
from relay.aac import write_specific
from relay.feed_values import Stored
from relay.files import Manifest, write_index, write_manifest
from relay.hls.names import Names
from relay.movies import Movie
from relay.parts_values import Init
from relay.ports import Bearer, Refused
from relay.rpc import SECONDS
from relay.units import HZ, AudioConfig
from tests.realtime.edge.test_edge import Everybody, now_ms
from tests.support.server import config

SIZE = 32 * 1024 * 1024
"""More than the kernel holds between two sockets."""
SECRET = b"k" * 32
FILM, SEGMENT = "recording.mp4", Names(SECRET).segment(0, audio=False)


class Gateway(Everybody):
    """`hidden` recordings are nobody's. While it is `away` it does not answer; an answer that it has begun while `slow`
    is given when `let_go` is set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden: set[str] = set()
        self.away = self.slow = False
        self.asked = 0
        self.let_go = asyncio.Event()

    async def may_replay(self, room: str, recording: str, user: str, granted: bool) -> bool:
        self.asked += 1
        if self.away:
            raise Refused("unavailable", "No gateway answers.")
        answer = recording not in self.hidden and await super().may_replay(room, recording, user, granted)
        if self.slow:
            self.slow = False
            await self.let_go.wait()
        return answer


class Stage:
    def __init__(self, edge: EdgeServer, gateway: Gateway, passes: Passes, base: str, http: httpx.AsyncClient):
        self.edge, self.gateway = edge, gateway
        self._passes, self._base, self._http = passes, base, http

    async def get(self, recording: str, name: str, user: str = "bob", *, method: str = "GET") -> httpx.Response:
        token = self._passes.issue("r1", Bearer(user), now_ms())
        return await self._http.request(method, f"{self._base}/{recording}/{name}", params={"pass": token})

    @asynccontextmanager
    async def reading(self, recording: str, name: str, user: str = "bob") -> AsyncIterator["Reading"]:
        """From the first bytes on."""
        token = self._passes.issue("r1", Bearer(user), now_ms())
        async with self._http.stream("GET", f"{self._base}/{recording}/{name}", params={"pass": token}) as answer:
            assert answer.status_code == 200
            yield await begun(answer)


class Reading:
    """An answer, and how many bytes of it have come."""

    def __init__(self, content: AsyncIterator[bytes], got: int):
        self._content, self.got = content, got

    async def rest(self) -> None:
        async for piece in self._content:
            self.got += len(piece)


async def begun(answer: httpx.Response) -> Reading:
    """Once something has come."""
    content = answer.aiter_raw(65_536)
    return Reading(content, len(await anext(content)))


def keep(folder: Path, room: str) -> None:
    """A recording of one segment."""
    folder.mkdir(parents=True)
    init = cmaf.init_segment(None, AudioConfig("aac", 48_000, 2, write_specific(48_000, 2)))
    inits = (Init(1, init, init, "mp4a.40.2", 0, 0),)
    manifest = Manifest(room, folder.name, "ann", now_ms(), SECRET, 0, record=True, state="finished", inits=inits)
    write_manifest(folder, manifest)
    with (folder / "1.mp4").open("wb") as file:
        file.write(SIZE.to_bytes(4) + b"mdat")
        file.truncate(SIZE)
    write_index(folder, [Stored(0, 0, 2 * HZ, 1, False, 0, "1.mp4", 0, SIZE)])


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Stage]:
    """An edge process with two recordings."""
    settings = config(tmp_path / "data", {"GALAXY_RELAY__PROCESSES": "1"})
    for name in ("one", "two"):
        keep(settings.media_folder / name, "r1")
    gateway = Gateway()
    async with (
        asyncio.timeout(30),
        assembled(settings, 0, now_ms, gateway) as edge,
        running(edge.server, bind("127.0.0.1", 0)) as server,
        httpx.AsyncClient() as http,
    ):
        base = f"http://127.0.0.1:{server.port}/v1/rooms/r1/recordings"
        yield Stage(edge, gateway, Passes(ticket_secret(settings)), base, http)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with opened(tmp_path) as stage:
        yield stage


async def banned(stage: Stage) -> None:
    await stage.edge.revoke("r1", "bob")


async def hidden(stage: Stage) -> None:
    stage.gateway.hidden.add("one")
    await stage.edge.recordings_changed("r1")


async def of_whom_no_gateway_says_anything(stage: Stage) -> None:
    stage.gateway.away = True
    await stage.edge.recordings_changed("r1")
    stage.gateway.away = False


async def of_whom_no_gateway_says_anything_in_time(stage: Stage) -> None:
    stage.gateway.slow = True
    try:
        async with asyncio.timeout(SECONDS):  # as a gateway's call
            await stage.edge.recordings_changed("r1")
    finally:
        stage.gateway.let_go.set()


@pytest.mark.parametrize("what", [FILM, SEGMENT])
@pytest.mark.parametrize(
    "how", [banned, hidden, of_whom_no_gateway_says_anything, of_whom_no_gateway_says_anything_in_time]
)
async def test_who_may_not_read_any_more_is_cut_off(
    stage: Stage, how: Callable[[Stage], Awaitable[None]], what: str
) -> None:
    async with stage.reading("one", what) as bob:
        await how(stage)
        await how(stage)
        with pytest.raises(httpx.ReadError):
            await bob.rest()
        assert bob.got < SIZE
    async with stage.reading("two", what, "cat") as cat:
        await cat.rest()
        assert cat.got >= SIZE


async def test_who_may_reads_on_while_others_are_cut_off(stage: Stage) -> None:
    async with stage.reading("two", FILM) as bob, stage.reading("two", FILM, "cat") as cat:
        await stage.edge.revoke("r1", "eve")
        await stage.edge.revoke("elsewhere", "cat")
        await hidden(stage)
        await banned(stage)
        with pytest.raises(httpx.ReadError):
            await bob.rest()
        await cat.rest()
        assert cat.got > SIZE


async def test_who_asks_for_the_head_alone_has_no_film_read_for_them(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, read = list[int](), Replay.film

    async def counted(replay: Replay, folder: Path, film: Movie, at: int, size: int) -> bytes | None:
        reads.append(at)
        return await read(replay, folder, film, at, size)

    whole = await stage.get("one", FILM)
    monkeypatch.setattr(Replay, "film", counted)
    head = await stage.get("one", FILM, method="HEAD")
    while stage.edge.readers.all:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert reads == []
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}
    assert int(head.headers["content-length"]) == len(whole.content)


async def test_who_leaves_is_no_reader_any_more(stage: Stage) -> None:
    async with stage.reading("one", SEGMENT):
        assert len(stage.edge.readers.all) == 1
    while stage.edge.readers.all:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_a_segment_is_sent_without_tasks_of_its_own() -> None:
    """Which cost more than all else of it: `receive` is for who listens beside."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    content = bytes(range(256)) * (PIECE // 128) + b"end"
    await InPieces(content, 200, {"Cache-Control": "no-store"}, "video/mp4")({"type": "http"}, receive, send)
    start, *pieces, last = sent
    assert (b"content-length", str(len(content)).encode()) in start["headers"]
    assert [len(one["body"]) for one in pieces] == [PIECE, PIECE, 3]
    assert all(one["more_body"] for one in pieces)
    assert last == {"type": "http.response.body"}
    assert b"".join(one["body"] for one in pieces) == content


async def test_readers_are_asked_about_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nobody tells the edge; where no gateway answers they read on."""
    monkeypatch.setattr("relay.rights.ASK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("realtime.edge.access.REPLAY_KEPT_SECONDS", 0.0)
    async with opened(tmp_path) as stage, stage.reading("one", FILM) as bob, stage.reading("two", FILM, "cat") as cat:
        stage.gateway.away, before = True, stage.gateway.asked
        while stage.gateway.asked < before + 4:  # noqa: ASYNC110 - of both, twice
            await asyncio.sleep(0.01)
        assert len(stage.edge.readers.all) == 2
        stage.gateway.hidden.add("one")
        stage.gateway.away = False
        with pytest.raises(httpx.ReadError):
            await bob.rest()
        await cat.rest()
        assert cat.got > SIZE


async def test_an_answer_from_before_lets_nobody_read(stage: Stage) -> None:
    stage.gateway.slow = True
    asking = asyncio.create_task(stage.get("one", FILM))
    while not stage.gateway.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await hidden(stage)
    stage.gateway.let_go.set()
    with pytest.raises(httpx.ReadError):
        await asking
    assert (await stage.get("one", FILM)).status_code == 404


async def test_who_was_sent_away_just_now_is_not_let_in_by_what_was_known(stage: Stage) -> None:
    async with stage.reading("one", FILM) as bob:
        await bob.rest()
    await banned(stage)
    assert (await stage.get("one", FILM)).status_code == 404
