"""`galaxy-live admin`: moderates rooms of a running server, by `POST /v1/commands`."""

import argparse
import json
import os
import sys
from typing import Any

import httpx

DEFAULT_URL = "http://127.0.0.1:8080"
OK, REFUSED, USAGE, UNREACHABLE = range(4)
_TIMEOUT_SECONDS = 15.0

_MEMBER_COMMANDS = {
    "mute": ("stop somebody from writing in a room", ("seconds", "reason")),
    "unmute": ("let them write again", ()),
    "kick": ("remove somebody from a room", ("reason",)),
    "ban": ("remove somebody and keep them out", ("seconds", "reason", "purge_seconds")),
    "unban": ("let them in again", ()),
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "seconds": {"type": int, "help": "for how long; default: until lifted"},
    "purge_seconds": {"type": int, "help": "also delete their messages of the last so many seconds"},
    "reason": {"help": "shown to the user and to moderators"},
}


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `admin` and its commands to a parser's subcommands."""
    admin = commands.add_parser("admin", help="moderate rooms of a running server")
    connection = argparse.ArgumentParser(add_help=False)
    for parser in (admin, connection):  # the options may stand before or after the command
        default = argparse.SUPPRESS if parser is connection else None
        parser.add_argument("--url", default=default, help=f"of the server; default: GALAXY_URL, or {DEFAULT_URL}")
        parser.add_argument(
            "--token",
            default=default,
            help="an admin's or moderator's; better given as GALAXY_TOKEN, unseen in `ps`",
        )
        parser.add_argument("--json", default=default, action="store_true", help="print the server's reply as JSON")
    actions = admin.add_subparsers(metavar="COMMAND", required=True, dest="action")

    def add(name: str, help_text: str, *arguments: str, options: tuple[str, ...] = ()) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, parents=[connection], help=help_text)
        for argument in arguments:
            parser.add_argument(argument, metavar=argument.upper())
        for option in options:
            parser.add_argument(f"--{option.replace('_', '-')}", **_OPTIONS[option])
        parser.set_defaults(run=_run)
        return parser

    for name, (help_text, options) in _MEMBER_COMMANDS.items():
        add(name, help_text, "room", "user", options=options)
    add("role", "give a role in a room", "room", "user").add_argument("role", choices=["owner", "moderator", "member"])
    add("delete", "delete a message", "room", options=("reason",)).add_argument("target", type=int, metavar="POS")
    add("settings", "change settings of a room", "room").add_argument(
        "settings", nargs="+", type=_setting, metavar="KEY=VALUE", help="slow_seconds=10, locked=true, write=members"
    )


def _command(args: argparse.Namespace) -> dict[str, Any]:
    match args.action:
        case "delete":
            kind = "message.delete"
        case "settings":
            kind = "room.update"
        case _:
            kind = f"member.{args.action}"
    command: dict[str, Any] = {"type": kind, "id": 1, "room": args.room}
    for name in ("user", "role", "target", "seconds", "purge_seconds", "reason"):
        if getattr(args, name, None) is not None:
            command[name] = getattr(args, name)
    if args.action == "settings":
        command["settings"] = dict(args.settings)
    return command


def _setting(text: str) -> tuple[str, bool | int | str]:
    """KEY=VALUE, where VALUE is true, false, an integer, or a text (in double quotes where it looks like another)."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError("must be KEY=VALUE")
    try:
        parsed = json.loads(value)
    except ValueError:
        return key, value
    return key, parsed if isinstance(parsed, bool | int | str) else value


def _run(args: argparse.Namespace) -> int:
    url = args.url or os.environ.get("GALAXY_URL") or DEFAULT_URL
    token = args.token or os.environ.get("GALAXY_TOKEN") or ""
    if not token:
        return _say("no token: set GALAXY_TOKEN or give --token (see galaxy-live token --role admin)", USAGE)
    if not token.isascii() or not token.isprintable():
        return _say("the token holds characters that no token has", USAGE)
    try:
        response = httpx.post(
            f"{url.rstrip('/')}/v1/commands",
            json=_command(args),
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
        )
        reply = response.json()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        return _say(f"--url {url}: {error}", USAGE)
    except httpx.HTTPError as error:
        return _say(f"{url}: not reached: {error or type(error).__name__}", UNREACHABLE)
    except ValueError:
        reply = None
    if not isinstance(reply, dict) or reply.get("type") not in ("ok", "error"):
        return _say(f"{url}: answers {response.status_code}, but not as a galaxy-live server does", UNREACHABLE)
    if args.json:
        print(json.dumps(reply, ensure_ascii=False))
    elif reply["type"] == "ok":
        print(f"{args.action} {args.room}: done" + (f", pos {reply['pos']}" if "pos" in reply else ""))
    else:
        field = f" ({reply['field']})" if "field" in reply else ""
        print(f"{reply.get('code')}: {reply.get('message')}{field}", file=sys.stderr)
    return OK if reply["type"] == "ok" else REFUSED


def _say(problem: str, code: int) -> int:
    print(f"galaxy-live admin: {problem}", file=sys.stderr)
    return code
