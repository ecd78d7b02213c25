"""The command line of `python -m loadtest size`: every assumption is an option."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import msgspec

from loadtest.assumptions import Assumptions
from loadtest.bounds import count, from_one, from_zero, positive, share


class Sizing(NamedTuple):
    assumptions: Assumptions
    json: bool


class Option(NamedTuple):
    convert: Callable[[str], Any]
    text: str


HELP = "computes what so many users need, and where each engine ends"
REQUIRED = {
    "users": Option(count, "accounts"),
    "rooms": Option(count, "groups, all of one size"),
}
OPTIONS = {
    "online": Option(share, "share of the users who are connected at the peak, each once"),
    "messages_per_user_day": Option(positive, "messages of each user, online or not, a day"),
    "rooms_each": Option(from_one, "groups of which a user is a member"),
    "listeners_per_room": Option(
        from_one, "who listens to a group when something is said in it; without it, its members who are online"
    ),
    "live_rooms": Option(count, "live rooms at the peak"),
    "live_viewers": Option(from_zero, "viewers of each, of those online"),
    "live_comments": Option(from_zero, "comments a second in each, at the peak"),
    "text": Option(count, "characters of a message"),
    "peak": Option(from_one, "how many times the average second the peak is"),
    "marks_per_message": Option(from_zero, "read marks for each message"),
    "sessions_per_user_day": Option(from_zero, "connections that a user makes a day; each joins all their groups"),
    "home": Option(share, "share of a user's groups that lie in one cell, where there are several"),
    "cells": Option(count, "cells at least"),
    "busy": Option(share, "share of a core, or of a network, that is planned for at the peak"),
    "node_connections": Option(count, "connections of a gateway process"),
    "machine_cores": Option(count, "cores of a gateway machine, a process on each"),
    "lanes": Option(count, "connections to write by, of each process to PostgreSQL"),
    "readers": Option(count, "connections to read by"),
    "postgres_cores": Option(count, "cores of a PostgreSQL server"),
    "postgres_connections": Option(count, "connections that it takes"),
    "postgres_wal": Option(positive, "bytes a second of write-ahead log that its disk and its replica take"),
    "postgres_disk": Option(positive, "bytes of its disk"),
    "years": Option(positive, "years that the log is kept"),
    "copies": Option(from_one, "copies of a database, replicas included"),
    "redis_shards": Option(count, "servers of a Redis Cluster"),
    "redis_network": Option(positive, "bytes a second that one of them can send"),
}
DEFAULTS = Assumptions(users=1, rooms=1)


def add_size(subparsers: Any) -> None:
    parser = subparsers.add_parser("size", help=HELP, description=f"{HELP}; docs/scaling.md has the formulae")
    for name, option in REQUIRED.items():
        parser.add_argument(flag(name), type=option.convert, required=True, metavar="N", help=option.text)
    for name, option in OPTIONS.items():
        default = getattr(DEFAULTS, name)
        text = option.text if default is None else f"{option.text} ({default:,.15g})"
        parser.add_argument(flag(name), type=option.convert, default=default, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="print the figures for programs")


def sizing(given: argparse.Namespace, error: Callable[[str], NoReturn]) -> Sizing:
    """Calls `error` with a line that names the option where some do not go together."""
    a = msgspec.convert({name: getattr(given, name) for name in (*REQUIRED, *OPTIONS)}, Assumptions, strict=False)
    members = a.users * a.rooms_each / a.rooms
    if a.rooms_each > a.rooms:
        error(f"--rooms-each: {a.rooms_each:,.12g} are more than the {a.rooms:,.12g} --rooms")
    if a.listeners_per_room is not None and a.listeners_per_room > members:
        error(f"--listeners-per-room: {a.listeners_per_room:,.12g} are more than the {members:,.12g} members of a room")
    if a.cells > a.rooms:
        error(f"--cells: {a.cells:,.12g} are more than the {a.rooms:,.12g} --rooms to divide among them")
    online = a.users * a.online
    if a.live_rooms * a.live_viewers > online:
        error(f"--live-viewers: {a.live_rooms * a.live_viewers:,.12g} in all, more than the {online:,.12g} online")
    nodes = a.postgres_connections // (a.lanes + a.readers)
    if not nodes:
        error(
            f"--postgres-connections: {a.postgres_connections:,.12g} are fewer than the {a.lanes + a.readers:,.12g} "
            "--lanes and --readers of one process"
        )
    if a.live_viewers > nodes * a.node_connections:
        error(
            f"--live-viewers: {a.live_viewers:,.12g} of one room, which lies in one cell, are more than the "
            f"{nodes * a.node_connections:,.12g} connections of the {nodes:,.12g} processes that its PostgreSQL bears"
        )
    return Sizing(a, given.json)


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
