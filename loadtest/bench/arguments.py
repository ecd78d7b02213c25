"""The bench's command line."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from loadtest.bench.plan import (
    CHARACTERS,
    CODECS,
    EACH,
    MUST,
    PEERS,
    ROOMS,
    SUBSCRIBERS,
    WINDOWS,
    Plan,
    chosen,
    configurations,
    many_rooms,
    usual,
)
from loadtest.files import SPARE, allow_many
from loadtest.peers import SERVERS

T = TypeVar("T")


MOST_TEXT = 2_000
"""The default of a room's `max_text` (docs/protocol.md)."""


class Given(NamedTuple):
    plan: Plan
    out: Path
    docs: Path | None


def parse(arguments: list[str]) -> Given:
    """Exits with 2 and a line that names the option where one is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench",
        description="galaxy-live beside other servers, alternately. Without options: in full what there are targets "
        "for, and of the rest a choice in shorter measurements. What is named is measured in every combination; what "
        "is then not named is 1,000 subscribers, texts of 120 characters, JSON, all windows.",
    )
    parser.add_argument("--peers", type=some(str, PEERS), default=PEERS, help=f"of {','.join(PEERS)} (all)")
    parser.add_argument("--windows", type=some(int), help="messages in flight, e.g. 1,16,256")
    parser.add_argument("--subscribers", type=some(int), help="of the room, e.g. 100,1000,10000")
    parser.add_argument("--texts", type=some(int), help="characters of a message, e.g. 120,1024")
    parser.add_argument("--codecs", type=some(str, CODECS), help="of json,msgpack")
    parser.add_argument("--full", action="store_true", help="every combination of all of these (hours)")
    parser.add_argument(
        "--rooms-of-10", type=int, nargs="?", const=ROOMS, metavar="ROOMS",
        help=f"as many rooms as connections, each of ten, and no single room ({ROOMS:,})",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="what there are targets for, in a few short pairs")
    parser.add_argument("--pairs", type=int, help="measurements of each server (15; quick: 3)")
    parser.add_argument("--seconds", type=float, help="of each full measurement (1; quick: 0.3)")
    parser.add_argument("--out", type=Path, default=Path("artefacts/bench"), help="for results (artefacts/bench)")
    parser.add_argument("--docs", type=Path, help="the folder whose performance.md and pictures/ are to be rewritten")
    given = parser.parse_args(arguments)
    pairs = given.pairs if given.pairs is not None else 3 if given.quick else 15
    seconds = given.seconds if given.seconds is not None else 0.3 if given.quick else 1.0
    if pairs < 2:
        parser.error("--pairs: an interval needs at least 2")
    if not 0 < seconds < 600:
        parser.error("--seconds: above 0, and below 600")
    if given.docs is not None and not (given.docs / "performance.md").is_file():
        parser.error(f"--docs: there is no performance.md in {given.docs}")
    if max(given.texts or (0,)) > MOST_TEXT:
        parser.error(f"--texts: rooms take up to {MOST_TEXT:,} characters")
    plan = _plan(given, parser, pairs, seconds)
    if (most := max(row.configuration.subscribers for row in plan.rows)) > (files := allow_many() - SPARE):
        parser.error(f"--subscribers: {most:,}, each an open file, of which a process may have {files:,} (ulimit -Hn)")
    return Given(plan, given.out, given.docs)


def _plan(given: argparse.Namespace, parser: argparse.ArgumentParser, pairs: int, seconds: float) -> Plan:
    selected = given.full or any((given.subscribers, given.texts, given.codecs))
    if given.rooms_of_10 is not None:
        if selected:
            parser.error("--rooms-of-10: goes with --windows only, not with a single room's options")
        return _many_rooms(given, parser, pairs, seconds)
    if given.quick and (selected or given.windows):
        parser.error("--quick: has its own choice; give --pairs and --seconds with the other options")
    if given.quick:
        return chosen(given.peers, configurations(WINDOWS), pairs, seconds)
    if not selected and not given.windows:
        return usual(given.peers, pairs, seconds)
    every = given.full
    wanted = configurations(
        given.windows or WINDOWS,
        given.subscribers or (SUBSCRIBERS if every else (MUST.subscribers,)),
        given.texts or (CHARACTERS if every else (MUST.characters,)),
        given.codecs or (CODECS if every else (MUST.codec,)),
    )
    return chosen(given.peers, wanted, pairs, seconds)


def _many_rooms(given: argparse.Namespace, parser: argparse.ArgumentParser, pairs: int, seconds: float) -> Plan:
    windows = given.windows or (256,)
    if given.rooms_of_10 <= EACH:
        parser.error(f"--rooms-of-10: more than {EACH}, for each connection to be in {EACH} of them")
    if max(windows) > given.rooms_of_10:
        parser.error(f"--windows: at most one message in flight to each of the {given.rooms_of_10:,} rooms")
    if without := [peer for peer in given.peers if not SERVERS[peer].topics and given.peers is not PEERS]:
        parser.error(f"--peers: {', '.join(without)} has one room only")
    rows = many_rooms(given.peers, windows, given.rooms_of_10, pairs, seconds)
    return Plan(rows, ["Only what the command names was measured."])


def some(kind: Callable[[str], T], allowed: Sequence[T] = ()) -> Callable[[str], tuple[T, ...]]:
    """An option's type: one or more, separated by commas, none twice."""

    def parse(text: str) -> tuple[T, ...]:
        try:
            values = tuple(dict.fromkeys(kind(part) for part in text.split(",")))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers, separated by commas") from None
        for value in values:
            if allowed and value not in allowed:
                raise argparse.ArgumentTypeError(f"{value!r} is none of {', '.join(map(str, allowed))}")
            if isinstance(value, int) and value < 1:
                raise argparse.ArgumentTypeError(f"{value} is not above 0")
        return values

    return parse
