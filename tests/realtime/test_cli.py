import stat
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from realtime.auth import Authenticator
from realtime.cli import main
from realtime.config import Auth, Config
from realtime.worker import Inherited
from tests.realtime.auth.material import SECRET, private_key, public_pem


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GALAXY_AUTH__SECRET", raising=False)
    monkeypatch.setenv("GALAXY_RELAY__PROCESSES", "0")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, bool]]:
    """What `serve` would have run."""
    seen: list[tuple[Config, bool]] = []

    def run(config: Config, dev: bool, worker: Inherited | None) -> int:
        assert worker is None
        seen.append((config, dev))
        return 0

    app = ModuleType("realtime.app")
    app.run = run  # type: ignore[attr-defined]  # a stand-in made here
    monkeypatch.setitem(sys.modules, "realtime.app", app)
    monkeypatch.setattr("realtime.app", app, raising=False)
    return seen


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_serve_hands_over_the_settings(served: list[tuple[Config, bool]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_AUTH__SECRET", SECRET)
    Path("g.toml").write_text("[server]\nport = 9000\ndrain_seconds = 3\n")
    assert main(["serve", "--config", "g.toml", "--host", "0.0.0.0", "--port", "0", "--data", "there"]) == 0  # noqa: S104  # said, not done
    ((config, dev),) = served
    assert dev is False
    assert (config.server.host, config.server.port, config.server.drain_seconds) == ("0.0.0.0", 0, 3)  # noqa: S104
    assert config.data == Path("there")
    assert config.auth.secret == SECRET


def test_several_workers_are_started_by_the_same_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their number said again: a file that names another one by then changes nothing."""
    seen: list[tuple[int, list[str]]] = []

    def run(config: Config, command: list[str]) -> int:
        seen.append((config.server.workers, command))
        return 4

    monkeypatch.setattr("realtime.supervisor.run", run)
    monkeypatch.setenv("GALAXY_AUTH__SECRET", SECRET)
    monkeypatch.setenv("GALAXY_STORE__URL", "postgresql://me@here/galaxy")
    monkeypatch.setenv("GALAXY_BROKER__URL", "redis://here")
    Path("g.toml").write_text("[server]\nworkers = 3\n")
    given = ["serve", "--config", "g.toml", "--port", "0"]
    assert main(given) == 4
    assert seen == [(3, ["-m", "realtime.cli", *given, "--workers", "3"])]


def test_serve_without_a_key_refuses_and_names_the_settings(
    served: list[tuple[Config, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve"]) == 1
    assert served == []
    error = capsys.readouterr().err
    assert all(word in error for word in ("[auth]", "GALAXY_AUTH__SECRET", "public_key_file", "jwks_url", "--dev"))


def test_dev_makes_a_secret_once_and_keeps_it(served: list[tuple[Config, bool]]) -> None:
    assert main(["serve", "--dev"]) == main(["serve", "--dev"]) == 0
    (first, dev), (second, _) = served
    assert dev is True
    assert first.auth.secret == second.auth.secret == Path("data/dev-secret").read_text().strip()
    assert stat.S_IMODE(Path("data/dev-secret").stat().st_mode) == 0o600


def test_dev_says_loudly_what_it_is(served: list[tuple[Config, bool]], capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve", "--dev"])
    assert served
    assert "DEVELOPMENT MODE" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost"])  # noqa: S104  # what must be refused
def test_dev_refuses_other_hosts(
    host: str, served: list[tuple[Config, bool]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["serve", "--dev", "--host", host]) == 1
    monkeypatch.setenv("GALAXY_SERVER__HOST", host)
    assert main(["serve", "--dev"]) == 1
    assert served == []
    assert capsys.readouterr().err.count("only listens on 127.0.0.1") == 2
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--port", "x"), ("--port", "65536"), ("--host", ""), ("--data", ""), ("--workers", "0")]
)
def test_a_bad_option_is_named(
    option: str, value: str, served: list[tuple[Config, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--dev", option, value]) == 1
    assert served == []
    assert capsys.readouterr().err.startswith(f"{option}: expected ")


def test_config_check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_AUTH__SECRET", SECRET)
    assert main(["config", "check"]) == 0
    assert capsys.readouterr() == ("OK\n", "")
    Path("bad.toml").write_text("[server]\nprot = 1\n[log]\nlevel = 3\n")
    assert main(["config", "check", "--config", "bad.toml"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "bad.toml:2: [server] prot" in printed.err
    assert "bad.toml:4: [log] level" in printed.err


def test_config_check_reads_the_key_files(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_AUTH__PUBLIC_KEY_FILE", "key.pem")
    assert main(["config", "check"]) == 1
    assert "[auth] public_key_file: key.pem: No such file" in capsys.readouterr().err
    Path("key.pem").write_bytes(public_pem(private_key("EdDSA")))
    assert main(["config", "check"]) == 0


def test_config_check_warns_where_serve_would_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "OK\n"
    assert "[auth]: no key" in printed.err


def test_a_token_with_everything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_AUTH__SECRET", SECRET)
    monkeypatch.setenv("GALAXY_AUTH__ISSUER", "me")
    monkeypatch.setenv("GALAXY_AUTH__AUDIENCE", "you")
    rooms = ["--room", "r:1=owner", "--room", "r2=member"]
    assert main(["token", "--user", "ann", "--name", "Ann 安", "--role", "admin", *rooms, "--ttl", "60"]) == 0
    token = capsys.readouterr().out.removesuffix("\n")
    found = Authenticator(Auth(secret=SECRET, issuer="me", audience="you")).verify(token, now_ms())
    assert (found.user, found.name, found.admin) == ("ann", "Ann 安", True)
    assert found.rooms == {"r:1": "owner", "r2": "member"}
    assert found.issued_ms is not None
    assert found.expires_ms == found.issued_ms + 60_000


def test_a_token_by_the_secret_of_the_data_folder(
    served: list[tuple[Config, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["serve", "--dev", "--data", "there"])
    capsys.readouterr()
    assert main(["token", "--user", "ann", "--data", "there"]) == 0
    ((config, _),) = served
    assert Authenticator(config.auth).verify(capsys.readouterr().out.strip(), now_ms()).user == "ann"


def test_without_a_secret_there_is_no_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--user", "ann"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "GALAXY_AUTH__SECRET" in printed.err
    assert "data holds no dev-secret" in printed.err
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--user", ""], "sub"),
        (["--user", "a\nb"], "sub"),
        (["--user", "a", "--room", "r=king"], "rooms"),
        (["--user", "a", "--room", "no room=owner"], "rooms"),
    ],
)
def test_a_token_that_would_not_be_accepted(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAXY_AUTH__SECRET", SECRET)
    assert main(["token", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["config"],
        ["token"],
        ["token", "--user", "a", "--role", "king"],
        ["token", "--user", "a", "--room", "r"],
        ["token", "--user", "a", "--ttl", "0"],
        ["token", "--user", "a", "--ttl", "soon"],
        ["serve", "--prot", "1"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: galaxy-live")
