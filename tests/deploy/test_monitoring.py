"""Alerts and dashboard: they are well formed, and every metric and label that they name is one of a real server's."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from realtime.stores.common import WAITING_READS, WAITING_WRITES
from tests.support.peer import connected, greeted
from tests.support.server import serving, token

DEPLOY = Path(__file__).parents[2] / "deploy"
OPERATIONS = DEPLOY.parent / "docs" / "operations.md"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "galaxy-live.json").read_text())
RULES: list[dict[str, Any]] = YAML(typ="safe").load(PROMETHEUS / "alerts.yml")["groups"][0]["rules"]
ALERTS = [rule["alert"] for rule in RULES]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


def panel_queries() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel.get("targets", ())]


def promtool(*arguments: str | Path) -> str:
    said = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    promtool("check", "rules", PROMETHEUS / "alerts.yml")
    queries = [
        {"record": f"panel:query{number}", "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, query in enumerate(panel_queries())
    ]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": queries}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", tmp_path / "panels.yml")


def test_alerts_fire_when_they_should() -> None:
    promtool("test", "rules", PROMETHEUS / "alerts_test.yml")
    tests = YAML(typ="safe").load(PROMETHEUS / "alerts_test.yml")["tests"]
    fired = {case["alertname"] for one in tests for case in one["alert_rule_test"] if case["exp_alerts"]}
    assert fired == set(ALERTS)


async def test_every_metric_and_label_is_a_real_servers(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        async with greeted(server.url, token("ann")) as ann:
            room = (await ann.ok("room.create", kind="live", title="Room", visibility="public"))["room"]["id"]
            await ann.ok("room.join", room=room)
            await ann.ok("message.send", room=room, text="hello", key="k1")
        async with connected(server.url, "no token") as refused:
            assert (await refused.closed())[0] == 3500
        assert (await client.post("/v1/commands", content=b"x" * 70_000)).status_code == 413
        shown = (await client.get("/metrics")).text
    labels = {"up": {"job", "instance"}}
    queues = set()
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            labels.setdefault(sample.name, {"instance", "job"}).update(sample.labels)
            queues |= {sample.labels["queue"]} if "queue" in sample.labels else set()
    queries = [*panel_queries(), *(rule["expr"] for rule in RULES)]
    used = {name for query in queries for name in re.findall(r"\bgalaxy_\w+", query)}
    assert used <= labels.keys()
    for query in queries:
        for name, selector in re.findall(r"\b(galaxy_\w+|up)\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)[=!]", selector)) <= labels[name], query
        assert set(re.findall(r'queue="(\w+)"', query)) <= queues


def test_a_half_full_queue_is_half_of_its_bound() -> None:
    (rule,) = (rule["expr"] for rule in RULES if rule["alert"] == "GalaxyStoreQueueFilling")
    assert f'queue="store_writes"}} > {WAITING_WRITES // 2}' in rule
    assert f'queue="store_reads"}} > {WAITING_READS // 2}' in rule


def test_connections_near_the_limit_are_four_fifths_of_it() -> None:
    (rule,) = (rule["expr"] for rule in RULES if rule["alert"] == "GalaxyConnectionsNearLimit")
    unit = (DEPLOY / "systemd" / "galaxy-live.service").read_text()
    (limit,) = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)
    (most,) = re.findall(r"> (\d+)$", rule)
    assert 0.75 * int(limit) < int(most) < 0.8 * int(limit)


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_an_alert_says_how_urgent_it_is_and_has_its_section(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert f"\n### {rule['alert']}\n" in OPERATIONS.read_text()


def test_the_dashboard_can_be_shown() -> None:
    assert DASHBOARD["uid"] == "galaxy-live"
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    graphs = [panel for panel in PANELS if panel["type"] == "timeseries"]
    assert len(graphs) + sum(panel["type"] == "row" for panel in PANELS) == len(PANELS)
    for panel in graphs:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
        assert all("$instance" in target["expr"] for target in panel["targets"])
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        apart = (one[at] + one[size] <= other[at] or other[at] + other[size] <= one[at] for at, size in ("xw", "yh"))
        assert any(apart), "two panels overlap"
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
