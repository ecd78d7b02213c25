"""The command `galaxy-live`."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from realtime import cli_admin, cli_db
from realtime.auth import DEV_SECRET_FILE, Authenticator, BadToken, issue, kept_secret
from realtime.config import Config, ConfigError, load

DEV_HOST = "127.0.0.1"
_NO_KEY = (
    "[auth]: no key to check tokens with: set secret (GALAXY_AUTH__SECRET), public_key_file, jwks_file or jwks_url,\n"
    "or start with --dev to try it out on this machine"
)

_DEV_WARNING = """\
+------------------------------------------------------------------+
|  DEVELOPMENT MODE: whoever reaches this port can be whoever they |
|  like. For trying out on this machine; never put it online.      |
+------------------------------------------------------------------+"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 it did not work (or the server said no), 2 wrong usage, 3 server not reached."""
    args = _parser().parse_args(argv)
    args.given = sys.argv[1:] if argv is None else list(argv)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="galaxy-live", description="Realtime chat and live rooms.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("--config", metavar="FILE", type=Path, help="settings (TOML); see config.example.toml")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", metavar="DIR", help="data folder, instead of the configured one")

    serve = commands.add_parser("serve", parents=[config, data], help="run the server")
    serve.add_argument("--host", help="address to listen on, instead of the configured one")
    serve.add_argument("--port", help="port to listen on, instead of the configured one; 0: any free one")
    serve.add_argument("--workers", metavar="N", help="gateway processes, instead of the configured number")
    serve.add_argument("--inherited", help=argparse.SUPPRESS)  # what a supervisor hands over
    serve.add_argument("--dev", action="store_true", help=f"for trying out: {DEV_HOST} only, everybody gets a token")
    serve.set_defaults(run=_serve)

    token = commands.add_parser("token", parents=[config, data], help="print a token for a user")
    token.add_argument("--user", required=True, metavar="ID")
    token.add_argument("--name", default="", help="shown name; default: the id")
    token.add_argument("--role", action="append", default=[], choices=["admin"], help="a platform role")
    token.add_argument("--room", action="append", default=[], type=_grant, metavar="ROOM=ROLE", help="a role in a room")
    token.add_argument("--ttl", type=_seconds, default=3_600, metavar="SECONDS", help="default: 3600")
    token.set_defaults(run=_token)

    check = commands.add_parser("config", help="look over the settings").add_subparsers(metavar="check", required=True)
    check.add_parser("check", parents=[config], help="print OK or what is wrong").set_defaults(run=_check)

    cli_admin.add_to(commands)
    cli_db.add_to(commands, [config, data])
    return parser


def _serve(args: argparse.Namespace) -> int:
    config = _load(args)
    if args.dev:
        if config.server.host != DEV_HOST:
            raise ConfigError(
                f"--dev gives everybody a token, so it only listens on {DEV_HOST}, not {config.server.host}"
            )
        config = _with_dev_secret(config)
        if args.inherited is None:
            print(_DEV_WARNING, file=sys.stderr)
    elif not config.auth.has_key:
        raise ConfigError(_NO_KEY)
    if (config.server.workers > 1 or config.relay.processes) and args.inherited is None:
        from realtime import supervisor  # noqa: PLC0415  # `token` and `admin` start faster without the server

        # Said again last, or settings that change meanwhile could let several gateways have parts meant for one.
        workers = ["--workers", str(config.server.workers)]
        return supervisor.run(config, ["-m", "realtime.cli", *args.given, *workers])
    from realtime import worker  # noqa: PLC0415

    inherited = None if args.inherited is None else worker.Inherited.parse(args.inherited)
    if inherited is not None and inherited.kind == "media":
        from realtime import media  # noqa: PLC0415

        return media.run(config, inherited)
    if inherited is not None and inherited.kind == "edge":
        from realtime.edge import process  # noqa: PLC0415

        return process.run(config, inherited)
    from realtime import app  # noqa: PLC0415

    return app.run(config, dev=args.dev, worker=inherited)


def _token(args: argparse.Namespace) -> int:
    config = _load(args)
    if not config.auth.secret:
        if not (config.data / DEV_SECRET_FILE).exists():
            raise ConfigError(
                "no secret to sign with: set [auth] secret (GALAXY_AUTH__SECRET);\n"
                f"or, for a server run with --dev, name its data folder by --data ({config.data} holds no dev-secret)"
            )
        config = _with_dev_secret(config)
    try:
        token = issue(
            config.auth.secret,
            args.user,
            now_ms=time.time_ns() // 1_000_000,
            ttl_seconds=args.ttl,
            name=args.name,
            roles=args.role,
            rooms=dict(args.room),
            issuer=config.auth.issuer,
            audience=config.auth.audience,
        )
    except BadToken as error:
        print(f"galaxy-live token: {error}", file=sys.stderr)
        return 2
    print(token)
    return 0


def _check(args: argparse.Namespace) -> int:
    config = load(args.config, os.environ)
    Authenticator(config.auth)
    print("OK")
    if not config.auth.has_key:
        print(f"Without --dev, serve will not start: {_NO_KEY}", file=sys.stderr)
    return 0


def _load(args: argparse.Namespace) -> Config:
    return load(args.config, os.environ, {key: getattr(args, key, None) for key in ("host", "port", "workers", "data")})


def _with_dev_secret(config: Config) -> Config:
    if config.auth.secret:
        return config
    return replace(config, auth=replace(config.auth, secret=kept_secret(config.data / DEV_SECRET_FILE)))


def _seconds(text: str) -> int:
    seconds = int(text)
    if seconds < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return seconds


def _grant(text: str) -> tuple[str, str]:
    room, equals, role = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be ROOM=ROLE")
    return room, role


if __name__ == "__main__":
    sys.exit(main())
