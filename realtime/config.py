"""The configuration: a TOML file and `GALAXY_SECTION__KEY` of the environment, into frozen values.

config.example.toml says what each setting means; a test holds that file against the structs here.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import msgspec
from msgspec import Meta, Struct, field

from realtime.config_checks import CHECKS, POSTGRESQL, REDIS, check_together

ENV_PREFIX = "GALAXY_"

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""0 means no limit."""
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Bytes = Annotated[int, Meta(ge=1024, le=2**30)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
"""0 means any free port."""

_SECRET = frozenset({"secret", "url", "key", "turn_secret"})


class ConfigError(Exception):
    """What is wrong with the settings, one line a problem, each with where it stands: file and line, or variable."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Section(Struct, frozen=True, kw_only=True):
    def __repr__(self) -> str:
        """Without what must not reach a log: the secret, and passwords in URLs."""
        shown = {name: "***" if name in _SECRET else getattr(self, name) for name in self.__struct_fields__}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Server(Section, frozen=True):
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    admin_host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    admin_port: Port = 0
    data: Annotated[str, Meta(min_length=1)] = "./data"
    drain_seconds: Annotated[int, Meta(ge=0, le=600)] = 10
    reconnect_within_ms: Annotated[int, Meta(ge=0, le=600_000)] = 5_000
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()


class Auth(Section, frozen=True):
    secret: str = ""
    public_key_file: str = ""
    jwks_file: str = ""
    jwks_url: str = ""
    jwks_refresh_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 600
    issuer: str = ""
    audience: str = ""
    leeway_seconds: Annotated[int, Meta(ge=0, le=300)] = 0
    anonymous: bool = False

    @property
    def has_key(self) -> bool:
        return any((self.secret, self.public_key_file, self.jwks_file, self.jwks_url))


class Store(Section, frozen=True):
    url: str = ""
    timeout_ms: Annotated[int, Meta(ge=500, le=60_000)] = 5_000
    write_lanes: Annotated[int, Meta(ge=1, le=64)] = 4
    read_connections: Annotated[int, Meta(ge=1, le=64)] = 4
    keep_days: Annotated[int, Meta(ge=0, le=36_500)] = 0

    @property
    def on_postgresql(self) -> bool:
        return self.url.startswith(POSTGRESQL)


class Broker(Section, frozen=True):
    url: str = "memory://"
    prefix: str = "galaxy"
    timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 2_000

    @property
    def on_redis(self) -> bool:
        return self.url.startswith(REDIS)


class Records(Section, frozen=True):
    url: str = ""


class Moderation(Section, frozen=True):
    blocked_words: tuple[str, ...] = ()
    masked_words: tuple[str, ...] = ()


class Limits(Section, frozen=True):
    message_bytes: Bytes = 65_536
    rooms_per_connection: Count = 128
    commands_per_second: Count = 20
    commands_burst: Positive = 40
    joins_per_second: Count = 20
    joins_burst: Positive = 256
    reactions_per_second: Count = 5
    rate_limited_per_minute: Count = 120
    bad_requests_per_minute: Count = 60
    connections_per_user: Count = 20
    connections_per_address: Count = 0
    incomplete_requests_per_address: Count = 100
    unsent_bytes: Bytes = 1_048_576
    notsent_lowat: Count = 131_072
    recover_events: Positive = 1_000
    recover_bytes: Bytes = 262_144
    ring_bytes: Bytes = 67_108_864
    joins_at_once: Positive = 256
    join_wait_seconds: Positive = 10
    presence_names: Count = 200
    live_comments_per_second: Count = 30
    hello_seconds: Positive = 15
    heartbeat_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 25_000
    pong_seconds: Positive = 10
    head_bytes: Bytes = 16_384
    body_bytes: Bytes = 65_536
    head_seconds: Positive = 10
    body_seconds: Positive = 10
    invite_guesses_per_minute: Count = 10
    edit_seconds: Count = 0


class Relay(Section, frozen=True):
    processes: Annotated[int, Meta(ge=0, le=64)] = 1
    rtmp_port: Port = 1_935
    rtmp_certificate: str = ""
    rtmp_key: str = ""
    udp_port: Port = 8_443
    edge_port: Port = 8_081
    public_addresses: tuple[str, ...] = ()
    public_url: str = ""
    edge_url: str = ""
    media_dir: str = ""
    record: bool = True
    dvr_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 7_200
    stream_megabytes: Positive = 20_000
    media_megabytes: Positive = 100_000
    free_megabytes: Positive = 2_000
    max_kbit: Positive = 12_000
    max_pixels: Positive = 2_073_600
    publishers: Positive = 100
    whep_viewers: Count = 500
    udp_offload: bool = True
    grace_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 30
    kyc_required: bool = False
    push_networks: tuple[str, ...] = ()
    turn_url: str = ""
    turn_secret: str = ""


class Secrets(Section, frozen=True):
    key: str = ""


class Tracing(Section, frozen=True):
    url: str = ""
    sample: Annotated[float, Meta(ge=0, le=1)] = 0.01
    service: Annotated[str, Meta(min_length=1)] = "galaxy-live"


class Log(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(Struct, frozen=True, kw_only=True):
    server: Server = field(default_factory=Server)
    auth: Auth = field(default_factory=Auth)
    store: Store = field(default_factory=Store)
    broker: Broker = field(default_factory=Broker)
    records: Records = field(default_factory=Records)
    moderation: Moderation = field(default_factory=Moderation)
    limits: Limits = field(default_factory=Limits)
    relay: Relay = field(default_factory=Relay)
    secrets: Secrets = field(default_factory=Secrets)
    tracing: Tracing = field(default_factory=Tracing)
    log: Log = field(default_factory=Log)

    @property
    def data(self) -> Path:
        return Path(self.server.data)

    @property
    def database(self) -> Path:
        """The SQLite file, where the store is one."""
        return Path(self.store.url.removeprefix("sqlite:///")) if self.store.url else self.data / "galaxy.db"

    @property
    def media_folder(self) -> Path:
        """Where streams' segments and recordings are kept."""
        return Path(self.relay.media_dir) if self.relay.media_dir else self.data / "media"

    @property
    def records_folder(self) -> Path:
        """Where the JSON Lines of interaction records go."""
        return Path(self.records.url.removeprefix("jsonl:///")) if self.records.url else self.data / "records"


SECTIONS: dict[str, type[Section]] = {f.name: f.type for f in msgspec.structs.fields(Config)}
_FIELDS = {name: {f.name: f.type for f in msgspec.structs.fields(section)} for name, section in SECTIONS.items()}


def load(path: Path | None, environ: Mapping[str, str], server: Mapping[str, str | None] | None = None) -> Config:
    """The settings of the file (none: the defaults), with the environment's over them, and over those the options of
    the command line for `[server]`: key → text, None where not given.

    Of the environment only names with `__` count: `GALAXY_LIMITS__COMMANDS_PER_SECOND=0`; commas separate lists.
    Raises ConfigError, which names every problem found.
    """
    settings = _Settings()
    if path is not None:
        settings.read_file(path)
    settings.read_environment(environ)
    for key, value in (server or {}).items():
        if value is not None:
            settings.put("server", key, value, f"--{key}", text=True)
    return settings.config()


class _Settings:
    """Values as they are gathered, where each was set, and what is wrong with them."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
        self.where: dict[tuple[str, str], str] = {}
        self.problems: list[str] = []

    def read_file(self, path: Path) -> None:
        try:
            text = path.read_bytes().decode()
            tables = tomllib.loads(text)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 (byte {error.start})") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(_syntax_problem(path, error)) from error
        lines = _lines(text)
        for section, table in tables.items():
            head = f"{path}:{lines.get((section, ''), lines.get(('', section), 1))}: "
            if not isinstance(table, dict):
                self.problems.append(f"{head}{section}: a setting outside of a section, or a section that is no table")
            elif section not in SECTIONS:
                self.problems.append(f"{head}[{section}]: unknown section{_meant(section, SECTIONS)}")
            else:
                for key, value in table.items():
                    line = f"{path}:{lines[section, key]}: " if (section, key) in lines else head
                    self.put(section, key, value, f"{line}[{section}] {key}")

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for name in sorted(environ):
            if not name.startswith(ENV_PREFIX) or "__" not in name:
                continue
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
            if section not in SECTIONS:
                self.problems.append(f"{name}: unknown section{_meant(section, SECTIONS)}")
                continue
            value: Any = environ[name]
            if get_origin(_FIELDS[section].get(key)) is tuple:
                value = [item.strip() for item in value.split(",") if item.strip()]
            self.put(section, key, value, name, text=True)

    def put(self, section: str, key: str, value: object, where: str, *, text: bool = False) -> None:
        if key not in _FIELDS[section]:
            self.problems.append(f"{where}: unknown key{_meant(key, _FIELDS[section])}")
            return
        try:
            typed = msgspec.convert(value, _FIELDS[section][key], strict=not text)
        except msgspec.ValidationError as error:
            self.problems.append(f"{where}: {_plain(error)}")
            return
        try:
            CHECKS.get((section, key), _no_check)(typed)
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
        self.values[section][key] = typed
        self.where[section, key] = where

    def config(self) -> Config:
        if self.problems:
            raise ConfigError(*self.problems)
        config = msgspec.convert(self.values, Config)
        problems = [
            f"{self.where.get((section, key), f'[{section}] {key}')}: {text}"
            for section, key, text in check_together(config)
        ]
        if problems:
            raise ConfigError(*problems)
        return config


def _no_check(value: object) -> None:
    pass


def _plain(error: msgspec.ValidationError) -> str:
    text = re.sub(r" - at `\$\[(\d+)\]`", r" (item \1, from 0)", str(error)).replace("`", "")
    return text[0].lower() + text[1:]


def _meant(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _syntax_problem(path: Path, error: tomllib.TOMLDecodeError) -> str:
    at = re.search(r" \(at line (\d+), column \d+\)", str(error))
    return f"{path}:{at[1]}: {str(error).replace(at[0], '')}" if at else f"{path}: {error}"


def _lines(text: str) -> dict[tuple[str, str], int]:
    """(section, key) → line, (section, "") → its header's line; `tomllib` keeps none, so this looks for them."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*[\"']?([\w-]+)[\"']?\s*\]", line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif key := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*(?:\.\s*[\"']?([\w-]+)[\"']?)?\s*=", line):
            found.setdefault((key[1], key[2]) if key[2] and not section else (section, key[1]), number)
    return found
