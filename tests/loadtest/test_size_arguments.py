"""`python -m loadtest size`: what is wrong is named, and what is right is printed."""

import json

import msgspec
import pytest

from loadtest.__main__ import main
from loadtest.arguments import parse
from loadtest.assumptions import Assumptions
from loadtest.limits import size
from loadtest.size_arguments import OPTIONS, REQUIRED, Sizing
from loadtest.size_table import number, size_of, users
from loadtest.unit_costs import UnitCosts

SMALL = ["size", "--users", "1000", "--rooms", "100"]
WRONG = [
    ("--users", ["size", "--rooms", "1"]),
    ("--users", ["size", "--rooms", "1", "--users", "0"]),
    ("--rooms", ["size", "--users", "1", "--rooms", "1.5"]),
    ("--online", [*SMALL, "--online", "2"]),
    ("--messages-per-user-day", [*SMALL, "--messages-per-user-day", "none"]),
    ("--peak", [*SMALL, "--peak", "0.9"]),
    ("--text", [*SMALL, "--text", "0"]),
    ("--busy", [*SMALL, "--busy", "nan"]),
    ("--rooms-each", [*SMALL, "--rooms-each", "101"]),
    ("--cells", [*SMALL, "--cells", "101"]),
    ("--listeners-per-room", [*SMALL, "--listeners-per-room", "101"]),
    ("--live-viewers", [*SMALL, "--live-rooms", "2", "--live-viewers", "51"]),
    ("--live-viewers", ["size", "--users", "100000000", "--rooms", "100", "--live-viewers", "9000000"]),
    ("--postgres-connections", [*SMALL, "--postgres-connections", "7"]),
]


@pytest.mark.parametrize(("name", "arguments"), WRONG)
def test_a_wrong_assumption_is_named(name: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        parse(arguments)
    assert exited.value.code == 2
    assert name in capsys.readouterr().err.splitlines()[-1]


def test_every_assumption_is_an_option() -> None:
    assert (*REQUIRED, *OPTIONS) == Assumptions.__struct_fields__
    assert parse(SMALL) == Sizing(Assumptions(users=1_000, rooms=100), json=False)
    assert parse([*SMALL, "--online", "0.25", "--lanes", "2", "--json"]) == Sizing(
        Assumptions(users=1_000, rooms=100, online=0.25, lanes=2), json=True
    )


def test_it_is_printed_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == 0
    found = size(Assumptions(users=1_000, rooms=100), UnitCosts())
    assert json.loads(capsys.readouterr().out) == msgspec.to_builtins(found)


def test_it_is_printed_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", "--users", "20000000", "--rooms", "2000000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["users", "online", "2", "million"] in [line.split() for line in lines]
    found = size(Assumptions(users=2e7, rooms=2e6), UnitCosts())
    assert f"{found.cells} cells, each" in lines
    for limit in found.limits:
        (line,) = [line for line in lines if line.startswith(f"  {limit.name} ")]
        assert line.endswith(limit.then)
        assert f" {users(limit)}: " in line


def test_a_limit_that_is_never_reached_is_said_so() -> None:
    quiet = Assumptions(users=1e6, rooms=1e5, messages_per_user_day=1e-9, sessions_per_user_day=0, online=1e-9)
    assert "never" in {users(limit) for limit in size(quiet, UnitCosts()).limits}


def test_what_nothing_bears_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", "--users", "1000000000", "--rooms", "10"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("failed: --rooms: ")
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (0.123, "0.12"), (3, "3"), (3.14, "3.1"), (31.4, "31"), (1_234.5, "1,234"), (1_234_567, "1.2 million")],
)
def test_numbers(value: float, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(999, "999 bytes"), (1e6, "1 MB"), (2.5e18, "2.5 EB"), (1e21, "1,000 EB")]
)
def test_sizes(value: float, expected: str) -> None:
    assert size_of(value) == expected
