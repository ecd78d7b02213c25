"""The bench at work, in small: real servers, real sockets."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.bench import crowd
from loadtest.bench.__main__ import main
from loadtest.bench.driver import Driver, cores
from loadtest.bench.results import Bench, read
from loadtest.peers import SERVERS
from loadtest.peers.peer import Failed, launch
from loadtest.peers.websockets_broadcast import WebsocketsBroadcast
from loadtest.ports import free_port

SMALL = ["--peers", "websockets", "--pairs", "2", "--seconds", "0.05"]


def only(out: Path) -> Bench:
    (path,) = out.glob("bench-*.json")
    return read(path)


def test_ours_and_a_peer_alternately(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main([*SMALL, "--subscribers", "20", "--windows", "1,16", "--codecs", "msgpack", "--out", str(tmp_path)]) == 0
    )
    found = only(tmp_path)
    assert [(one.configuration.window, one.peer) for one in found.comparisons] == [
        (1, "websockets"),
        (16, "websockets"),
    ]
    for one in found.comparisons:
        for figure in (*one.ours, *one.theirs):
            assert figure.deliveries_per_second > 0
            assert figure.microseconds > 0
            assert 0 < figure.p50 <= figure.p99
        assert one.ratio.pairs == 2
    assert str(found.comparisons[0]) in capsys.readouterr().out


def test_many_rooms(tmp_path: Path) -> None:
    assert main([*SMALL, "--rooms-of-10", "20", "--windows", "4", "--out", str(tmp_path)]) == 0
    (one,) = only(tmp_path).comparisons
    assert (one.configuration.subscribers, one.configuration.each) == (20, 10)
    assert all(figure.deliveries_per_second > 0 for figure in (*one.ours, *one.theirs))


class Lying(WebsocketsBroadcast):
    lie = "", 0

    def start(self, installed: Path, scratch: Path) -> None:
        self.port = free_port()
        script = str(Path(__file__).with_name("lying_server.py"))
        command = [sys.executable, script, str(self.port), self.form, *map(str, self.lie)]
        self.process = launch(self.title, command, self.port, scratch)


class Opener:
    """Starts servers with twenty subscribers in this process; `close` ends them."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._drivers: list[Driver] = []

    def open(self, server: str, each: int = 0, codec: str = "json") -> Driver:
        SERVERS[server].install(self._folder)
        made = Driver(server, codec, self._folder, self._folder, cores()[0])
        self._drivers.append(made)
        made.open(20, each)
        made.texts(120)
        return made

    def close(self) -> None:
        for one in self._drivers:
            one.close()


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    monkeypatch.setattr(crowd, "PATIENCE", 1.0)
    monkeypatch.setitem(SERVERS, "lying", Lying)
    made = Opener(tmp_path)
    yield made
    made.close()


SILENT = "said nothing for 1 s while messages were on their way"
OTHER = "delivered other bytes to one subscriber than to another"
EITHER = "delivered (other bytes|.* bytes) to one subscriber"


@pytest.mark.parametrize(("lie", "error"), [("drop", SILENT), ("double", EITHER), ("swap", OTHER), ("alter", OTHER)])
def test_one_lie_to_one_of_a_room_is_found(
    lie: str, error: str, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lying, "lie", (lie, 9))
    side = opener.open("lying")
    with pytest.raises(Failed, match=error):
        side.verify(16)


@pytest.mark.parametrize(("lie", "error"), [("drop", SILENT), ("double", EITHER)])
def test_a_lie_while_measuring_is_found(lie: str, error: str, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lying, "lie", (lie, 40))
    side = opener.open("lying")
    side.verify(16)
    with pytest.raises(Failed, match=error):
        side.measure(16, 0.01, 0.2)


ROOM_LIES = [("drop", SILENT), ("double", "delivered other rooms' messages"), ("alter", "delivered .* was due")]


@pytest.mark.parametrize(("lie", "error"), ROOM_LIES)
def test_one_lie_to_one_of_many_rooms_is_found(
    lie: str, error: str, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lying, "lie", (lie, 9))
    side = opener.open("lying", each=10)
    with pytest.raises(Failed, match=error):
        side.verify(4)


def test_the_floor_sends_on_what_it_is_sent(opener: Opener) -> None:
    side = opener.open("floor")
    side.verify(256)
    assert side.measure(256, 0.01, 0.05).deliveries_per_second > 0


def test_a_server_that_cannot_be_started_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*SMALL, "--peers", "floor", "--out", str(tmp_path)]) == 1
    assert "failed: bare send() loop: cc cannot be run" in capsys.readouterr().err


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"it ended with 3: no such luck"):
        launch("it", ["sh", "-c", "echo no such luck >&2; exit 3"], 1, tmp_path)


def test_one_core_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert main([*SMALL, "--out", str(tmp_path)]) == 1
    assert "failed: the bench needs two processor cores" in capsys.readouterr().err


def test_the_server_that_is_not_measured_is_stopped(opener: Opener) -> None:
    side = opener.open("websockets")
    stat = Path(f"/proc/{side.peer.pid}/stat")
    for _ in range(2):
        while not stat.read_text().rpartition(") ")[2].startswith("T "):
            pass  # it acts on the signal in its own time; never, and the test times out
        side.measure(4, 0.01, 0.05)
