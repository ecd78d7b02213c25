"""Every wrong argument is refused by its name, before anything is started."""

from pathlib import Path

import pytest

from loadtest.arguments import SCENARIOS as DESCRIBED
from loadtest.arguments import Given, parse
from loadtest.options import used_by
from loadtest.scenarios import SCENARIOS

SECRET = "s" * 32
WRONG = {
    "--connections": ["idle", "--connections", "0"],
    "--rooms": ["storm", "--rooms", "1.5"],
    "--rate": ["fanout", "--rate", "-1"],
    "--duration": ["groups", "--duration", "nan"],
    "--warm-up": ["fanout", "--warm-up", "-1"],
    "--processes": ["idle", "--processes", "3", "--connections", "2"],
    "--senders": ["fanout", "--senders", "5", "--connections", "4"],
    "--rooms-each": ["groups", "--rooms", "3", "--rooms-each", "4"],
    "--codec": ["fanout", "--codec", "xml"],
    "--kind": ["fanout", "--kind", "dm"],
    "--stopped": ["slow", "--stopped", "1"],
    "--burst": ["live", "--burst", "6"],
    "--url": ["idle", "--url", "127.0.0.1:80", "--secret", SECRET],
    "--pid": ["idle", "--pid", "1"],
    "--secret": ["idle", "--url", "http://127.0.0.1:80"],
    "unrecognized arguments: --gap": ["idle", "--gap", "3"],
    "SCENARIO": ["tips"],
}
MORE = [
    ("--connections", ["idle", "--connections", "900000"]),
    ("--url", ["idle", "--url", "http://127.0.0.1:99999999", "--secret", SECRET]),
    ("--url", ["idle", "--url", "https://example.com", "--secret", SECRET]),
    ("--secret", ["idle", "--url", "http://127.0.0.1:80", "--secret", "short"]),
    ("--pid", ["idle", "--url", "http://127.0.0.1:80", "--secret", SECRET, "--pid", "0"]),
    ("--baseline", ["soak", "--duration", "600"]),
    ("--senders", ["slow", "--senders", "10", "--connections", "10"]),
]


@pytest.mark.parametrize(("name", "arguments"), [*WRONG.items(), *MORE])
def test_a_wrong_argument_is_named(
    name: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GALAXY_AUTH__SECRET", raising=False)
    with pytest.raises(SystemExit) as exited:
        parse(arguments)
    assert exited.value.code == 2
    assert name in capsys.readouterr().err.splitlines()[-1]


def test_all_scenarios_are_described_and_their_defaults_are_right() -> None:
    assert set(DESCRIBED) == set(SCENARIOS)
    for name in SCENARIOS:
        given = parse([name])
        assert isinstance(given, Given)
        assert (given.options.scenario, given.port) == (name, 0)
        for option, value in DESCRIBED[name].defaults.items():
            assert getattr(given.options, option) == value
            assert option in used_by(name) or (name, option) == ("live", "kind")


def test_the_secret_may_be_the_servers_own_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_AUTH__SECRET", SECRET)
    given = parse(["fanout", "--url", "http://[::1]:8080/", "--kind", "live", "--out", "there"])
    assert isinstance(given, Given)
    assert (given.host, given.port, given.secret, given.out) == ("::1", 8080, SECRET, Path("there"))
    assert given.options.kind == "live"
