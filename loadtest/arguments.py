"""The command line, and what is wrong with it."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from loadtest.files import SPARE, allow_many
from loadtest.options import Options, used_by


class Option(NamedTuple):
    """One of `Options`, as it is given."""

    convert: Callable[[str], Any]
    text: str


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def _from_zero(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError
    return value


_count.__name__ = "number above 0"
_positive.__name__ = "number above 0"
_from_zero.__name__ = "number, 0 or more,"
_share.__name__ = "share between 0 and 1"

OPTIONS: dict[str, Option] = {
    "connections": Option(_count, "users, each with one connection"),
    "rooms": Option(_count, "rooms"),
    "rooms_each": Option(_count, "rooms that each connection joins"),
    "rate": Option(_positive, "a second, of all together: messages, or what people do in groups"),
    "duration": Option(_positive, "seconds that count"),
    "warm_up": Option(_from_zero, "seconds before that, which do not count"),
    "processes": Option(_count, "processes that hold the connections"),
    "senders": Option(_count, "how many of the users send"),
    "text": Option(_count, "characters of a message"),
    "codec": Option(str, "json or msgpack"),
    "kind": Option(str, "kind of the rooms, group or live"),
    "seed": Option(int, "of what is left to chance: the same again with the same seed"),
    "gap": Option(_count, "messages in each room while nobody is connected"),
    "window": Option(_from_zero, "seconds within which all come back"),
    "stopped": Option(_share, "share of the connections that stop reading"),
    "rounds": Option(_count, "times that they stop, with as long a time without them before each"),
    "burst": Option(_positive, "how many times the average rate bursts are"),
    "baseline": Option(_positive, "seconds after which the server's memory may not grow any more"),
    "growth": Option(_positive, "by what share of what it then was it may grow at most"),
}
CHOICES = {"codec": ("json", "msgpack"), "kind": ("group", "live")}


class Scenario(NamedTuple):
    help: str
    defaults: dict[str, Any]


SCENARIOS = {
    "idle": Scenario(
        "connections that say nothing: memory of each, processor time of all",
        {"connections": 1_000, "rooms": 100, "duration": 60.0},
    ),
    "fanout": Scenario(
        "rooms in which some send and all receive: acknowledgement and delivery",
        {"connections": 1_000, "senders": 100, "rate": 200.0, "warm_up": 5.0},
    ),
    "storm": Scenario(
        "all dropped at once, come back and recover what they missed",
        {"connections": 1_000, "rooms": 10},
    ),
}


class Given(NamedTuple):
    options: Options
    host: str
    port: int
    """0: a server of our own is to be started."""
    secret: str
    pid: int | None
    folder: Path
    """For a server of our own."""
    out: Path | None
    """For the report; None: none."""
    json: bool


def parse(arguments: list[str] | None) -> Given:
    """Exits with 2 and a line that names the option where one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description="Loads a server, and tells what it bore.")
    subparsers = parser.add_subparsers(required=True, metavar="SCENARIO", dest="scenario")
    for name, scenario in SCENARIOS.items():
        _add_scenario(subparsers.add_parser(name, help=scenario.help, description=scenario.help), name, scenario)
    given = parser.parse_args(arguments)
    options = Options(scenario=given.scenario, **{name: getattr(given, name) for name in used_by(given.scenario)})
    _check(options, parser.error)
    host, port = _address(given.url, parser.error)
    secret = given.secret or os.environ.get("GALAXY_AUTH__SECRET", "")
    if port and not secret:
        parser.error("--secret: needed with --url (or GALAXY_AUTH__SECRET), to make the users' tokens")
    if given.pid is not None and not port:
        parser.error("--pid: only with --url")
    if given.pid is not None and not Path(f"/proc/{given.pid}").exists():
        parser.error(f"--pid: there is no process {given.pid}")
    return Given(options, host, port, secret, given.pid, given.folder, given.out, given.json)


def _add_scenario(parser: argparse.ArgumentParser, scenario: str, found: Scenario) -> None:
    defaults = Options(scenario=scenario, **found.defaults)
    for name in used_by(scenario):
        option, default = OPTIONS[name], getattr(defaults, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=option.convert, default=default, choices=CHOICES.get(name),
            metavar=None if name in CHOICES else "N", help=f"{option.text} ({default:{',' if default != 1 else ''}})"
            if isinstance(default, int) else f"{option.text} ({default})",
        )  # fmt: skip
    parser.add_argument("--url", help="http://HOST:PORT of the server; without it, one of our own is started")
    parser.add_argument("--secret", help="of the users' tokens, as the server has it (GALAXY_AUTH__SECRET)")
    parser.add_argument("--pid", type=int, help="the server's process, to measure its processor time and memory")
    parser.add_argument("--folder", type=Path, default=Path("artefacts"), help="for our own server's data (artefacts)")
    parser.add_argument("--out", type=Path, help="folder for the report (artefacts/loadtest/SCENARIO-TIME)")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")


def _address(url: str | None, error: Callable[[str], NoReturn]) -> tuple[str, int]:
    if url is None:
        return "", 0
    wrong = f"--url: {url!r} is no http://HOST:PORT"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        error(wrong)
    if parts.scheme not in ("http", "ws") or not parts.hostname or parts.path not in ("", "/"):
        error(wrong)
    return parts.hostname, port or 80


def _check(options: Options, error: Callable[[str], NoReturn]) -> None:
    if options.processes > options.connections:
        error(f"--processes: {options.processes:,} are more than the {options.connections:,} --connections")
    if "senders" in used_by(options.scenario) and options.senders > options.connections:
        error(f"--senders: {options.senders:,} are more than the {options.connections:,} --connections")
    if options.rooms_each > options.rooms:
        error(f"--rooms-each: {options.rooms_each:,} are more than the {options.rooms:,} --rooms")
    each = -(-options.connections // options.processes)
    files = allow_many() - SPARE
    if each > files:
        least = -(-options.connections // files)
        error(
            f"--connections: {each:,} in a process, which may open {files:,} (ulimit -Hn); --processes {least} would do"
        )
