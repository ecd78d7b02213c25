import re
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from realtime.config import SECTIONS, Config, ConfigError, load

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "galaxy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path | None, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_the_example_lists_every_setting_with_its_default() -> None:
    tables = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    defaults = msgspec.json.decode(msgspec.json.encode(Config()))
    assert tables == defaults
    assert load(EXAMPLE, {}) == Config()


def test_the_example_says_what_each_setting_means() -> None:
    """A comment above each setting; settings that stand together may share one."""
    comment = False
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comment = True
        elif line == "" or line.startswith("["):
            comment = False
        else:
            assert comment, line


def test_without_a_file_the_defaults_count() -> None:
    assert load(None, {"PATH": "/bin", "GALAXY_URL": "x", "GALAXY_TOKEN": "y"}) == Config()


def test_a_file_sets_values(tmp_path: Path) -> None:
    path = file(tmp_path, '[server]\nport = 9000\nallowed_origins = ["https://a.example"]\n[auth]\nanonymous = true\n')
    config = load(path, {})
    assert config.server.port == 9000
    assert config.server.allowed_origins == ("https://a.example",)
    assert config.auth.anonymous is True


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    path = file(tmp_path, '[server]\nport = 9000\nhost = "10.0.0.1"\n')
    environ = {"GALAXY_SERVER__PORT": "9001", "GALAXY_SERVER__DATA": "/d"}
    config = load(path, environ, {"port": "9002", "data": None})
    assert (config.server.host, config.server.port, config.server.data) == ("10.0.0.1", 9002, "/d")


def test_the_environment_is_typed_by_the_setting() -> None:
    config = load(
        None,
        {
            "GALAXY_LIMITS__COMMANDS_PER_SECOND": "0",
            "GALAXY_AUTH__ANONYMOUS": "true",
            "GALAXY_AUTH__SECRET": "1" * 32,
            "GALAXY_SERVER__ALLOWED_ORIGINS": "https://a.example, https://b.example:8443",
            "GALAXY_MODERATION__BLOCKED_WORDS": "",
            "GALAXY_LOG__FORMAT": "json",
        },
    )
    assert config.limits.commands_per_second == 0
    assert config.auth.anonymous is True
    assert config.auth.secret == "1" * 32
    assert config.server.allowed_origins == ("https://a.example", "https://b.example:8443")
    assert config.moderation.blocked_words == ()
    assert config.log.format == "json"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[server]\nport = 8080\nprot = 1\n", 3, "[server] prot: unknown key (did you mean port?)"),
        ("\n[sever]\nport = 1\n", 2, "[sever]: unknown section (did you mean server?)"),
        ("port = 8080\n", 1, "port: a setting outside of a section"),
        ("[[server]]\nport = 1\n", 1, "server: a setting outside of a section, or a section that is no table"),
        ("# x\n[server]\n\nport = '80'\n", 4, "[server] port: expected int, got str"),
        ("[server]\nport = true\n", 2, "[server] port: expected int, got bool"),
        ("[server]\nport = 70000\n", 2, "[server] port: expected int <= 65535"),
        ("[limits]\ncommands_per_second = -1\n", 2, "[limits] commands_per_second: expected int >= 0"),
        ("[limits]\nhello_seconds = 1.5\n", 2, "[limits] hello_seconds: expected int, got float"),
        ("[log]\nlevel = 'loud'\n", 2, "[log] level: invalid enum value 'loud'"),
        ("[auth]\nanonymous = 1\n", 2, "[auth] anonymous: expected bool, got int"),
        ("[auth]\nsecret = 'short'\n", 2, "[auth] secret: must be at least 32 bytes long"),
        ("[auth]\nsecret = '-----BEGIN PUBLIC KEY-----'\n", 2, "[auth] secret: is a PEM text"),
        ("[auth]\njwks_url = 'http://keys.example/'\n", 2, "[auth] jwks_url: must be an https:// URL"),
        ("[auth]\njwks_url = 'https://['\n", 2, "[auth] jwks_url: "),
        ("[auth]\njwks_file='a'\njwks_url='https://k.example/'\n", 3, "[auth] jwks_url: jwks_file is set too"),
        ("[server]\nallowed_origins = ['a.example']\n", 2, "[server] allowed_origins: 'a.example' is no origin"),
        ("[server]\nallowed_origins = ['https://a/b']\n", 2, "[server] allowed_origins: 'https://a/b' is no origin"),
        ("[server]\nallowed_origins = 'https://a'\n", 2, "[server] allowed_origins: expected array, got str"),
        ("[server]\nallowed_origins = [\n 'https://a',\n 1,\n]\n", 2, "expected str, got int (item 1, from 0)"),
        ("[server]\ntrusted_proxies = ['10.0.0.1/8']\n", 2, "[server] trusted_proxies: 10.0.0.1/8 has host bits set"),
        ("[store]\nurl = 'mysql://x'\n", 2, "[store] url: must be sqlite:///PATH"),
        ("[store]\nurl = 'postgresql://host/'\n", 2, "[store] url: names no database: write postgresql://"),
        ("[store]\nurl = 'postgresql://host:x/db?nope=1'\n", 2, "[store] url: is no URL of PostgreSQL: invalid"),
        ("[store]\ntimeout_ms = 100\n", 2, "[store] timeout_ms: expected int >= 500"),
        ("[store]\nwrite_lanes = 0\n", 2, "[store] write_lanes: expected int >= 1"),
        ("[broker]\nurl = 'nats://x'\n", 2, "[broker] url: must be memory://, redis://HOST"),
        ("[broker]\nurl = 'redis://x:y'\n", 2, "[broker] url: is no URL of Redis"),
        ("[broker]\nurl = 'redis+cluster://'\n", 2, "[broker] url: is no URL of Redis: names no server"),
        ("[broker]\nurl = 'redis://x'\n", 2, "[broker] url: is for several gateways, which need [store] url = post"),
        ("[broker]\nprefix = 'a b'\n", 2, "[broker] prefix: must be 1 to 64 letters"),
        ("[server]\nadmin_port = 65536\n", 2, "[server] admin_port: expected int <= 65535"),
        (
            "[relay]\npublic_addresses = ['a.example']\n",
            2,
            "[relay] public_addresses: 'a.example' does not appear to be",
        ),
        ("[relay]\npush_networks = ['10.0.0.1/8']\n", 2, "[relay] push_networks: 10.0.0.1/8 has host bits set"),
        ("[relay]\nedge_url = 'live.example.com'\n", 2, "[relay] edge_url: must be https://HOST"),
        ("[relay]\npublic_url = 'ftp://a'\n", 2, "[relay] public_url: must be https://HOST"),
        ("[relay]\nturn_url = 'a.example'\nturn_secret='x'\n", 2, "[relay] turn_url: must be turn:HOST:PORT"),
        ("[relay]\nturn_url = 'turn:a.example'\n", None, "[relay] turn_secret: is empty: coturn's"),
        ("[relay]\nrtmp_certificate = '/none'\n", 2, "[relay] rtmp_certificate: cannot be used with rtmp_key"),
        ("[tracing]\nurl = 'collector:4318'\n", 2, "[tracing] url: must be http://HOST:4318/v1/traces"),
        ("[tracing]\nurl = 'http:///v1/traces'\n", 2, "[tracing] url: must be http://HOST:4318/v1/traces"),
        ("[tracing]\nsample = 2\n", 2, "[tracing] sample: expected float <= 1.0"),
        ("[tracing]\nservice = ''\n", 2, "[tracing] service: expected str of length >= 1"),
        ("[records]\nurl = '/tmp'\n", 2, "[records] url: must be jsonl:///PATH"),
        ("[moderation]\nblocked_words = ['a', ' ']\n", 2, "[moderation] blocked_words: an empty word"),
        ("[limits]\nmessage_bytes = 131072\n", None, "[limits] body_bytes: must be at least message_bytes"),
        ("[limits]\ncommands_burst = 5\n", 2, "[limits] commands_burst: must be at least commands_per_second"),
        ("[limits]\njoins_burst = 5\n", 2, "[limits] joins_burst: must be at least joins_per_second"),
        ("[server]\nport = \n", 2, "Invalid value"),
        ("server.prot = 1\n", 1, "[server] prot: unknown key"),
        ("server = {prot = 1}\n", 1, "[server] prot: unknown key"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(tmp_path: Path, text: str, line: int | None, says: str) -> None:
    path = file(tmp_path, text)
    (problem,) = problems(path)
    where = f"{path}:{line}: " if line else ""
    assert problem.startswith(where)
    assert says in problem.removeprefix(where)


def test_several_gateways_need_engines_between_them(tmp_path: Path) -> None:
    path = file(tmp_path, "[server]\nworkers = 2\nadmin_port = 65535\n")
    assert problems(path) == (
        f"{path}:2: [server] workers: 2 gateways need PostgreSQL: set [store] url to postgresql://...",
        f"{path}:2: [server] workers: 2 gateways need Redis between them: set [broker] url to redis://...",
        f"{path}:3: [server] admin_port: with 4 processes must be at most 65532",
    )
    postgresql = {"GALAXY_STORE__URL": "postgresql://me@here/galaxy"}
    with pytest.raises(ConfigError, match=r"^--workers: 3 gateways need Redis[^\n]*\Z"):
        load(None, postgresql, {"workers": "3"})


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    path = file(tmp_path, "[server]\nport = 'x'\nnope = 1\n[nope]\n")
    found = problems(path, {"GALAXY_LIMITS__RECOVER_EVENTS": "many"})
    assert [re.match(r".*:(\d+): |(\w+): ", problem) is not None for problem in found] == [True] * 4
    assert found[-1] == "GALAXY_LIMITS__RECOVER_EVENTS: expected int, got str"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GALAXY_SERVER__PORT", "http", "expected int, got str"),
        ("GALAXY_SERVER__PROT", "1", "unknown key (did you mean port?)"),
        ("GALAXY_SEVER__PORT", "1", "unknown section (did you mean server?)"),
        ("GALAXY_AUTH__ANONYMOUS", "maybe", "expected bool, got str"),
        ("GALAXY_AUTH__SECRET", "hunter2", "must be at least 32 bytes long"),
        ("GALAXY_SERVER__HOST", "", "expected str of length >= 1"),
    ],
)
def test_of_the_environment_the_variable_is_named(name: str, value: str, says: str) -> None:
    (problem,) = problems(None, {name: value})
    assert problem == f"{name}: {says}"
    assert "hunter2" not in problem


def test_problems_between_settings_name_the_variable_too() -> None:
    assert problems(None, {"GALAXY_LIMITS__BODY_BYTES": "2048"}) == (
        "GALAXY_LIMITS__BODY_BYTES: must be at least message_bytes: a command fits in a request too",
    )


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.toml") == (f"{tmp_path}/none.toml: No such file or directory",)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"[server]\n\xff")
    assert problems(binary) == (f"{binary}: not UTF-8 (byte 9)",)


def test_paths_follow_the_data_folder_unless_named() -> None:
    config = load(None, {"GALAXY_SERVER__DATA": "/d"})
    assert (config.database, config.records_folder) == (Path("/d/galaxy.db"), Path("/d/records"))
    named = load(None, {"GALAXY_STORE__URL": "sqlite:////x/y.db", "GALAXY_RECORDS__URL": "jsonl:///rec"})
    assert (named.database, named.records_folder) == (Path("/x/y.db"), Path("rec"))


@pytest.mark.parametrize("url", ["postgresql://u:p@db.example/galaxy?sslmode=require", "postgres:///galaxy?host=/run"])
def test_a_store_on_postgresql(url: str) -> None:
    config = load(None, {"GALAXY_STORE__URL": url})
    assert config.store.on_postgresql
    assert not load(None, {}).store.on_postgresql


def test_traces_need_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"GALAXY_TRACING__URL": "http://collector:4318/v1/traces"}
    assert load(None, environ).tracing.url == environ["GALAXY_TRACING__URL"]
    for name in [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    (problem,) = problems(None, environ)
    assert problem == "GALAXY_TRACING__URL: needs the extra `tracing`: pip install 'galaxy-live[tracing]'"


def test_a_password_in_a_url_that_is_wrong_is_not_repeated() -> None:
    (problem,) = problems(None, {"GALAXY_STORE__URL": "postgresql://u:hunter%zz2@host/db"})
    assert problem.startswith("GALAXY_STORE__URL: is no URL of PostgreSQL")
    assert "hunter" not in problem


def test_printing_a_config_shows_no_secret() -> None:
    config = load(None, {"GALAXY_AUTH__SECRET": "s3cret" * 8})
    assert "s3cret" not in repr(config)
    assert "s3cret" not in f"{config.auth}"
    assert "leeway_seconds=0" in repr(config)


def test_every_section_is_frozen() -> None:
    for name in SECTIONS:
        section = getattr(Config(), name)
        with pytest.raises(AttributeError):
            setattr(section, section.__struct_fields__[0], "x")
