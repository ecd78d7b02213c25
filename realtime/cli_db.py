"""`galaxy-live db`: looks after the database that the settings name."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from realtime.config import Config, ConfigError, load
from realtime.ports import Unavailable

if TYPE_CHECKING:
    from realtime.stores.common import SQLStore
    from realtime.stores.verify import Problem

DONE, FAILED, USAGE = range(3)
INTERRUPTED = 130
DAY_MS = 86_400_000
PATIENCE = 60
"""So many times `[store] timeout_ms` a statement of `migrate` or `verify` may take: it may concern a whole table."""

Work = Callable[["SQLStore"], Awaitable[int]]

_MIGRATE = """Brings the schema up to date. `serve` does that too when it starts; here it may take longer than a start
should. Safe to run from several machines at once: one migrates, the others then find nothing to do."""
_PRUNE = """Deletes logged events older than so many days from every room, up to the first that is not older: messages
with their texts, earlier texts, reactions, mentions, pins and words in the search index. Replies show what they quoted
as deleted; it counts as read. Members, roles, sanctions, settings and reports stay, and interaction records until they
are taken. What stays of a log has no hole. Safe beside running servers, which know within 30 seconds, and to be stopped
at any moment; run it once a day. PostgreSQL gives the room on disk back as it vacuums; SQLite uses it again."""
_VERIFY = """Looks whether the database agrees with itself: every log gapless, messages counted, the state of every room
that which its log makes of it (where nothing was pruned), what hangs on messages, mentions, read marks, that the
search index finds every message, and SQLite's file. Prints each problem with room and position. Servers may run
meanwhile. Exit code 1 where there are problems."""
_NEW_EPOCH = """Gives every room, or one, a new epoch: clients then load it anew, and take no new event for an old one.
MANDATORY whenever the log may have lost events that clients have seen: after restoring a backup, and after a failover
to a PostgreSQL standby that was not synchronous. Positions are then given a second time, and without a new epoch
clients that come back miss what is said at those. Stop all servers first, and start them afterwards. Not needed after a
crash, an upgrade, or a failover to a synchronous standby. If it is stopped half-way, run it again."""


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: Sequence[argparse.ArgumentParser]
) -> None:
    """Add `db` and its commands to a parser's subcommands. `parents` have `--config` and `--data`."""
    db = commands.add_parser("db", help="look after the database").add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, help_text: str, description: str, run: Callable[..., int]) -> argparse.ArgumentParser:
        parser = db.add_parser(name, parents=list(parents), help=help_text, description=description)
        parser.set_defaults(run=run)
        return parser

    add("migrate", "bring the schema up to date", _MIGRATE, _migrate)
    prune = add("prune", "delete what is older than so many days", _PRUNE, _prune)
    prune.add_argument("--days", type=_days, metavar="N", help="at least 1; default: [store] keep_days")
    prune.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    verify = add("verify", "look whether the database agrees with itself", _VERIFY, _verify)
    verify.add_argument("--room", metavar="ID", help="this room only")
    new_epoch = add("new-epoch", "make clients load rooms anew, after a restore", _NEW_EPOCH, _new_epoch)
    new_epoch.add_argument("--room", metavar="ID", help="this room only")
    new_epoch.add_argument("--yes", action="store_true", help="do not ask")


def _days(text: str) -> int:
    days = int(text)
    if days < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return days


def _load(args: argparse.Namespace) -> Config:
    return load(args.config, os.environ, {"data": args.data})


def _run(config: Config, work: Work, *, timeout_ms: int) -> int:
    """Does the work on the configured store, which is not opened yet."""
    from realtime.app import make_store  # noqa: PLC0415  # `token` and `admin` start faster without the server

    async def run() -> int:
        store = make_store(config, timeout_ms=timeout_ms)
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except Unavailable as error:
        print(f"galaxy-live db: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("galaxy-live db: stopped", file=sys.stderr)
        return INTERRUPTED


def _there(config: Config) -> None:
    """Raises ConfigError where there is no database yet."""
    if not config.store.on_postgresql and not config.database.exists():
        raise ConfigError(f"there is no database {config.database}: name the data folder by --data, or set [store] url")


def _none(room: str) -> int:
    print(f"galaxy-live db: there is no room {room!r}", file=sys.stderr)
    return FAILED


# The commands


def _migrate(args: argparse.Namespace) -> int:
    async def work(store: "SQLStore") -> int:
        migrated = await store.migrate()
        if migrated.before == migrated.after:
            print(f"The schema is up to date: revision {migrated.after}")
        else:
            print(f"The schema is at revision {migrated.after} now; before: {migrated.before or 'no schema'}")
        return DONE

    config = _load(args)
    return _run(config, work, timeout_ms=config.store.timeout_ms * PATIENCE)


def _prune(args: argparse.Namespace) -> int:
    config = _load(args)
    days = args.days or config.store.keep_days
    if not days:
        raise ConfigError(
            "how many days of the logs to keep? Set [store] keep_days (GALAXY_STORE__KEEP_DAYS) or --days"
        )
    _there(config)
    before = time.time_ns() // 1_000_000 - days * DAY_MS

    async def work(store: "SQLStore") -> int:
        from realtime.stores.pruning import prune  # noqa: PLC0415  # as in `_run`

        await store.open()
        pruned = await prune(store, before, dry_run=args.dry_run, told=_pruned)
        until = datetime.fromtimestamp(before / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        print(
            f"{'Would delete' if args.dry_run else 'Deleted'} {pruned.events:,} events from before {until}, "
            f"of {pruned.rooms:,} rooms"
        )
        return DONE

    return _run(config, work, timeout_ms=config.store.timeout_ms)


def _pruned(room: str, first: int, last: int) -> None:
    print(f"{room}: first_pos {first} -> {last}", flush=True)


def _verify(args: argparse.Namespace) -> int:
    config = _load(args)
    _there(config)

    async def work(store: "SQLStore") -> int:
        from realtime.stores.verify import verify  # noqa: PLC0415  # as in `_run`

        await store.open()
        verified = await verify(store, _problem, args.room)
        if args.room is not None and not verified.rooms:
            return _none(args.room)
        counts = f"{verified.rooms:,} rooms, {verified.events:,} events, {verified.messages:,} messages"
        if verified.problems:
            print(f"{verified.problems:,} problems in {counts}", file=sys.stderr)
            return FAILED
        print(f"OK: {counts}")
        return DONE

    return _run(config, work, timeout_ms=config.store.timeout_ms * PATIENCE)


def _problem(problem: "Problem") -> None:
    where = [problem.room] if problem.room else []
    where += [f"pos {problem.pos}"] if problem.pos is not None else []
    print(": ".join([" ".join(where) or "database", problem.what]), flush=True)


def _new_epoch(args: argparse.Namespace) -> int:
    config = _load(args)
    _there(config)
    if not args.yes:
        if not sys.stdin.isatty():
            print("galaxy-live db: add --yes to do this without being asked; see --help", file=sys.stderr)
            return USAGE
        print(_NEW_EPOCH)
        if input(f"New epoch for {args.room or 'every room'}? All servers are stopped? Type yes: ").strip() != "yes":
            print("Nothing was changed")
            return FAILED

    async def work(store: "SQLStore") -> int:
        from realtime.stores.epochs import renew  # noqa: PLC0415  # as in `_run`

        await store.open()
        renewed = await renew(store, args.room)
        if args.room is not None and not renewed:
            return _none(args.room)
        print(f"New epochs: {renewed:,} rooms")
        return DONE

    return _run(config, work, timeout_ms=config.store.timeout_ms)
