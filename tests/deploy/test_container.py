"""The Dockerfile and compose.yaml. Here is no Docker: the files are linted, held against each other and against the
code, and what the Dockerfile does to install and start the server is done without it.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from loadtest.ports import free_port
from realtime.config import Server, load
from realtime.gateway.server import CLOSE_SECONDS
from tests.support.server import SECRET

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROGRAMS = Path(sys.executable).parent


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: (instruction, rest) in order."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


@pytest.fixture
def compose() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(DEPLOY / "compose.yaml")
    return read


def test_linters_find_nothing() -> None:
    for linter, arguments, path in (
        ("hadolint", [], DEPLOY / "Dockerfile"),
        ("check-jsonschema", ["--builtin-schema", "vendor.compose-spec"], DEPLOY / "compose.yaml"),
    ):
        said = subprocess.run([PROGRAMS / linter, *arguments, path], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr


def test_the_image_is_made_of_what_it_is_given_and_serves(tmp_path: Path) -> None:
    """Both stages' steps in a folder, except for the user and the base image."""
    source, program, data, port = tmp_path / "src", tmp_path / "program", tmp_path / "data", free_port()
    source.mkdir()
    data.mkdir()

    def here(text: str) -> str:
        text = text.replace("/opt/galaxy-live", str(program)).replace("/var/lib/galaxy-live", str(data))
        return text.replace("8080", str(port)).replace("$PATH", os.environ["PATH"])

    def copied(rest: str) -> None:
        *names, to = rest.split()
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / to)

    first, second = (n for n, (name, _) in enumerate(instructions()) if name == "FROM")
    steps = instructions()
    for name, rest in steps[first:second]:
        if name == "COPY":
            copied(rest)
        elif name == "RUN":
            subprocess.run(here(rest), shell=True, cwd=source, check=True)  # noqa: S602 - our own Dockerfile

    settings = dict(steps[second:])
    environ = dict(pair.split("=", 1) for pair in shlex.split(here(settings["ENV"]))) | {"GALAXY_AUTH__SECRET": SECRET}
    environ["GALAXY_RELAY__PROCESSES"] = "0"  # whose ports, unlike an image's, would be this machine's
    health = json.loads(here(settings["HEALTHCHECK"]).partition("CMD ")[2])
    command = [*json.loads(settings["ENTRYPOINT"]), *json.loads(settings["CMD"])]
    server = subprocess.Popen(command, cwd=data, env=environ, stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        assert any(f":{port}/" in line for line in server.stdout), "it says where it listens"
        assert subprocess.run(health, env=environ, check=False).returncode == 0
        server.send_signal(signal.SIGSTOP)
        assert subprocess.run(health, env=environ, stderr=subprocess.DEVNULL, check=False).returncode != 0
        server.send_signal(signal.SIGCONT)
        server.terminate()
        assert server.wait(30) == 0
    assert (data / "galaxy.db").exists()


def test_only_what_is_copied_is_sent_to_docker() -> None:
    from_here = [rest for name, rest in instructions() if name == "COPY" and not rest.startswith("--from")]
    sent = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert sent == ["*", *(f"!{name}" for rest in from_here for name in rest.split()[:-1]), "**/__pycache__"]


def test_nginx_and_gateways_know_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    addresses = {
        name: one["networks"]["inside"]["ipv4_address"]
        for name, one in services.items()
        if isinstance(one["networks"], dict)
    }
    upstreams = re.findall(r"^ +server ([\d.]+):8080 ", (DEPLOY / "nginx.conf").read_text(), re.MULTILINE)
    assert upstreams == [addresses[name] for name in sorted(services) if name.startswith("gateway")]
    for name in addresses.keys() - {"nginx"}:
        assert services[name]["environment"]["GALAXY_SERVER__TRUSTED_PROXIES"] == addresses["nginx"]


def test_gateways_have_valid_settings_and_time_to_drain(compose: dict[str, Any]) -> None:
    values = dict.fromkeys(re.findall(r"^(\w+)=$", (DEPLOY / "env.example").read_text(), re.MULTILINE), "x" * 40)
    values |= {"DOMAIN": "live.example.com", "PUBLIC_ADDRESS": "203.0.113.7"}

    def filled(text: str) -> str:
        return re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: values[found[1]], text)

    gateways = [one for name, one in compose["services"].items() if name.startswith("gateway")]
    assert len(gateways) == 3
    places = re.search(r"server_name ~\^edge\(\?<node>\[1-3\]\)", (DEPLOY / "nginx.conf").read_text())
    assert places is not None
    for number, gateway in enumerate(gateways, 1):
        settings = {name: filled(text) for name, text in gateway["environment"].items()}
        config = load(None, settings)
        assert config.auth.has_key
        assert config.store.on_postgresql
        assert config.broker.on_redis
        assert config.secrets.key
        assert config.relay.edge_url == f"https://edge{number}.live.example.com"
        assert gateway["networks"]["inside"]["ipv4_address"] == f"10.77.0.1{number}"
        assert gateway["ports"] == [
            f"{config.relay.rtmp_port}:{config.relay.rtmp_port}",
            f"{config.relay.udp_port}:{config.relay.udp_port}/udp",
        ]
        assert int(gateway["stop_grace_period"].removesuffix("s")) >= Server().drain_seconds + CLOSE_SECONDS + 10
