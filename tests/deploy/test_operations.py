"""docs/operations.md: the settings that it gives are ones that the kernel, PostgreSQL and Prometheus know."""

import re
import subprocess
from pathlib import Path

from tests.deploy.commands import blocks
from tests.deploy.test_monitoring import ALERTS, PROMETHEUS
from tests.support.postgres import PostgresServer


def settings(heading: str) -> list[tuple[str, str]]:
    (block,) = blocks(heading, "ini")
    return re.findall(r"^([\w.]+) = '?(.*?)'?$", block, re.MULTILINE)


def test_the_kernel_has_these_settings() -> None:
    found = settings("The kernel")
    assert found
    for name, value in found:
        now = Path("/proc/sys", name.replace(".", "/")).read_text().split()
        assert len(now) == len(value.split()), name


def test_postgresql_takes_these_settings(postgres: PostgresServer) -> None:
    found = settings("Restore")
    assert found
    name = postgres.new_database()
    for setting, value in found:
        postgres.execute(f"ALTER SYSTEM SET {setting} = '{value}'", name)
        postgres.execute(f"ALTER SYSTEM RESET {setting}", name)


def test_prometheus_takes_this_configuration(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(
        "".join(blocks("Monitoring", "yaml")).replace("/etc/prometheus/galaxy-live", str(PROMETHEUS))
    )
    said = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{len(ALERTS)} rules found" in said.stdout
