"""`python -m loadtest.bench`: galaxy-live beside other servers, alternately, within the same minutes."""

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

import msgspec

from loadtest.bench_pairs import Comparison, Configuration, compare
from loadtest.bench_side import Side
from loadtest.peers import OURS, SERVERS
from loadtest.peers.peer import Failed

T = TypeVar("T")
PEERS = tuple(name for name in SERVERS if name != OURS)
WINDOWS = (1, 16, 256)
SUBSCRIBERS = (100, 1_000, 10_000)
CHARACTERS = (120, 1_024)
CODECS = ("json", "msgpack")


def main(arguments: list[str] | None = None) -> int:
    """Returns the process's exit code: 1 where a server could not be started or did not deliver everything."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    parser.add_argument("--peers", type=some(str, PEERS), default=PEERS, help=f"of {','.join(PEERS)} (all)")
    parser.add_argument("--windows", type=some(int), default=WINDOWS, help="messages in flight (1,16,256)")
    parser.add_argument("--subscribers", type=some(int), default=SUBSCRIBERS, help="of the room (100,1000,10000)")
    parser.add_argument("--texts", type=some(int), default=CHARACTERS, help="characters of a message (120,1024)")
    parser.add_argument("--codecs", type=some(str, CODECS), default=CODECS, help="of json,msgpack (both)")
    parser.add_argument("--pairs", type=int, default=15, help="measurements of each server (15)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement (1)")
    parser.add_argument("--out", type=Path, default=Path("artefacts/bench"), help="folder (artefacts/bench)")
    given = parser.parse_args(arguments)
    if given.pairs < 2:
        parser.error("--pairs: at least 2")
    if given.seconds <= 0:
        parser.error("--seconds: above 0")
    given.out.mkdir(parents=True, exist_ok=True)
    installed = given.out / "installed"
    installed.mkdir(exist_ok=True)
    taken: list[Comparison] = []
    try:
        for name in given.peers:
            SERVERS[name].install(installed)
        for codec, subscribers in product(given.codecs, given.subscribers):
            with Side(OURS, codec, installed, given.out) as ours:
                ours.open(subscribers)
                for peer in given.peers:
                    with Side(peer, codec, installed, given.out) as theirs:
                        theirs.open(subscribers)
                        for characters, window in product(given.texts, given.windows):
                            configuration = Configuration(
                                codec=codec, subscribers=subscribers, characters=characters, window=window
                            )
                            one = compare(configuration, peer, ours, theirs, given.pairs, given.seconds)
                            print(one, flush=True)
                            taken.append(one)
    except Failed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        (given.out / "comparisons.json").write_bytes(msgspec.json.encode(taken))
    return 0


def some(kind: Callable[[str], T], allowed: Sequence[T] = ()) -> Callable[[str], tuple[T, ...]]:
    """An option's type: one or more, separated by commas."""

    def parse(text: str) -> tuple[T, ...]:
        try:
            values = tuple(map(kind, text.split(",")))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers, separated by commas") from None
        for value in values:
            if allowed and value not in allowed:
                raise argparse.ArgumentTypeError(f"{value!r} is none of {', '.join(map(str, allowed))}")
            if isinstance(value, int) and value < 1:
                raise argparse.ArgumentTypeError(f"{value} is not above 0")
        return values

    return parse


if __name__ == "__main__":
    sys.exit(main())
