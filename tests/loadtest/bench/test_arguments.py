from pathlib import Path

import pytest

from loadtest.bench.arguments import parse
from loadtest.bench.plan import CODECS, PEERS, SUBSCRIBERS, WINDOWS


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("--peers redis", "--peers: 'redis' is none of uwebsockets, nats, ws, websockets, floor"),
        ("--peers ours", "--peers: 'ours' is none of"),
        ("--windows 1,x", "--windows: '1,x' is not a list of numbers"),
        ("--windows 0", "--windows: 0 is not above 0"),
        ("--windows ,", "--windows: ',' is not a list of numbers"),
        ("--subscribers -1", "--subscribers: -1 is not above 0"),
        ("--subscribers 10000000", "--subscribers: 10,000,000, each an open file"),
        ("--texts 2001", "--texts: rooms take up to 2,000 characters"),
        ("--codecs xml", "--codecs: 'xml' is none of json, msgpack"),
        ("--pairs 1", "--pairs: an interval needs at least 2"),
        ("--seconds 0", "--seconds: above 0"),
        ("--seconds nan", "--seconds: above 0"),
        ("--docs /nowhere", "--docs: there is no performance.md in /nowhere"),
        ("--quick --windows 1", "--quick: has its own choice"),
        ("--rooms-of-10 10", "--rooms-of-10: more than 10"),
        ("--rooms-of-10 100 --windows 101", "--windows: at most one message in flight to each of the 100 rooms"),
        ("--rooms-of-10 --codecs json", "--rooms-of-10: goes with --windows only"),
        ("--rooms-of-10 --peers floor,nats", "--peers: floor has one room only"),
    ],
)
def test_bad_arguments_name_the_option(arguments: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(arguments.split())
    assert exit_.value.code == 2
    assert error in capsys.readouterr().err.replace("argument --", "--")


def rows(arguments: str) -> set[tuple[str, int, int, int, str, int, float]]:
    plan = parse(arguments.split()).plan
    return {
        (one.codec, one.subscribers, one.characters, one.window, row.peer, row.pairs, row.seconds)
        for row in plan.rows
        for one in (row.configuration,)
    }


def test_what_is_named_is_measured_in_every_combination() -> None:
    assert rows("--peers nats,floor --windows 2,3 --codecs msgpack --pairs 4 --seconds 0.5") == {
        ("msgpack", 1_000, 120, window, peer, 4, 0.5) for window in (2, 3) for peer in ("nats", "floor")
    }


def test_a_value_named_twice_is_measured_once() -> None:
    assert len(parse(["--windows", "2,2", "--peers", "nats,nats"]).plan.rows) == 1


def test_full_is_every_combination() -> None:
    found = rows("--full")
    assert len(found) == len(PEERS) * len(WINDOWS) * len(SUBSCRIBERS) * 2 * len(CODECS) == 180
    assert {row[5:] for row in found} == {(15, 1.0)}


def test_quick_is_short() -> None:
    assert rows("--quick --peers nats") == {("json", 1_000, 120, window, "nats", 3, 0.3) for window in WINDOWS}


def test_rooms_of_ten_leave_out_who_has_one_room() -> None:
    plan = parse(["--rooms-of-10", "50", "--windows", "4"]).plan
    assert {row.peer for row in plan.rows} == set(PEERS) - {"floor"}
    assert {(row.configuration.subscribers, row.configuration.each) for row in plan.rows} == {(50, 10)}


def test_the_shipped_pages_folder_will_do() -> None:
    docs = Path(__file__).parents[3] / "docs"
    assert parse(["--docs", str(docs)]).docs == docs
