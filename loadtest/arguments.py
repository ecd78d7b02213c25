"""The command line, and what is wrong with it."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

import msgspec

from loadtest.bounds import count, from_zero, positive, share
from loadtest.files import SPARE, allow_many
from loadtest.options import Options, used_by
from loadtest.schedule import BURST_SECONDS, PERIOD
from loadtest.size_arguments import Sizing, add_size, sizing


class Option(NamedTuple):
    """One of `Options`, as it is given."""

    convert: Callable[[str], Any]
    text: str


SECRET_BYTES = 32
"""RFC 7518 section 3.2."""
OPTIONS: dict[str, Option] = {
    "connections": Option(count, "users, each with one connection"),
    "rooms": Option(count, "rooms"),
    "rooms_each": Option(count, "rooms that each connection joins"),
    "rate": Option(positive, "a second, of all together: messages, or what people do in groups"),
    "duration": Option(positive, "seconds that count"),
    "warm_up": Option(from_zero, "seconds before that, which do not count"),
    "processes": Option(count, "processes that hold the connections"),
    "senders": Option(count, "how many of the users send"),
    "text": Option(count, "characters of a message"),
    "codec": Option(str, "json or msgpack"),
    "kind": Option(str, "kind of the rooms, group or live"),
    "seed": Option(int, "of what is left to chance: the same again with the same seed"),
    "patience": Option(positive, "seconds that the last replies and events may take"),
    "gap": Option(count, "messages in each room while nobody is connected"),
    "window": Option(from_zero, "seconds within which all come back"),
    "stopped": Option(share, "share of the connections that stop reading"),
    "rounds": Option(count, "times that they stop, with as long a time without them before each"),
    "burst": Option(positive, "how many times the average rate bursts are"),
    "baseline": Option(positive, "seconds after which the server's memory may not grow any more"),
    "growth": Option(positive, "by what share of what it then was it may grow at most"),
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
    "groups": Scenario(
        "rooms of very different sizes; people type, read, react, send, and come back",
        {"connections": 1_000, "rooms": 200, "rooms_each": 5, "rate": 200.0},
    ),
    "live": Scenario(
        "one giant live room, comments in bursts",
        {"connections": 1_000, "senders": 200, "rate": 60.0, "kind": "live", "burst": 3.0, "duration": 30.0},
    ),
    "storm": Scenario(
        "all dropped at once, come back and recover what they missed",
        {"connections": 1_000, "rooms": 10},
    ),
    "slow": Scenario(
        "some readers stop reading: what the others get",
        {"connections": 1_000, "senders": 50, "rate": 200.0, "warm_up": 3.0, "duration": 60.0},
    ),
    "soak": Scenario(
        "as groups, for hours: the server's memory may not grow",
        {"connections": 1_000, "rooms": 200, "rooms_each": 5, "rate": 200.0, "duration": 7_200.0},
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


class Merging(NamedTuple):
    runs: list[Path]
    out: Path


def parse(arguments: list[str] | None) -> Given | Merging | Sizing:
    """Exits with 2 and a line that names the option where one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description="Loads a server, and tells what it bore.")
    subparsers = parser.add_subparsers(required=True, metavar="SCENARIO", dest="scenario")
    for name, scenario in SCENARIOS.items():
        _add_scenario(subparsers.add_parser(name, help=scenario.help, description=scenario.help), name, scenario)
    merging = subparsers.add_parser("merge", help="several machines' runs, made at the same time, as one report")
    merging.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run.json, or a report's folder")
    merging.add_argument("--out", type=Path, required=True, help="folder for the report")
    add_size(subparsers)
    given = parser.parse_args(arguments)
    if given.scenario == "size":
        return sizing(given, parser.error)
    if given.scenario == "merge":
        return Merging(given.runs, given.out)
    options = Options(scenario=given.scenario, **{name: getattr(given, name) for name in used_by(given.scenario)})
    if given.scenario == "live":
        options = msgspec.structs.replace(options, kind="live")
    _check(options, parser.error)
    host, port = _address(given.url, parser.error)
    secret = given.secret or os.environ.get("GALAXY_AUTH__SECRET", "")
    if port and not secret:
        parser.error("--secret: needed with --url (or GALAXY_AUTH__SECRET), to make the users' tokens")
    if port and len(secret.encode()) < SECRET_BYTES:
        parser.error(f"--secret: {SECRET_BYTES} bytes or more, as the server demands")
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
    if options.scenario == "slow" and options.senders == options.connections:
        error("--senders: fewer than the --connections, as who stops reading does not send")
    if options.burst < 1 or options.burst * BURST_SECONDS > PERIOD:
        error(f"--burst: 1 to {PERIOD / BURST_SECONDS:g}, as a burst lasts {BURST_SECONDS:g} of {PERIOD:g} seconds")
    if options.scenario == "soak" and options.duration <= options.baseline:
        error(f"--duration: must be longer than the --baseline of {options.baseline:g} seconds")
    if options.rooms_each > options.rooms:
        error(f"--rooms-each: {options.rooms_each:,} are more than the {options.rooms:,} --rooms")
    each = -(-options.connections // options.processes)
    files = allow_many() - SPARE
    if each > files:
        least = -(-options.connections // files)
        error(
            f"--connections: {each:,} in a process, which may open {files:,} (ulimit -Hn); --processes {least} would do"
        )
