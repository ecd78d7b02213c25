import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, sync_playwright

from loadtest import report
from loadtest.merge import load, merge
from loadtest.results import Failure, Run, Second
from loadtest.summary import Summary
from tests.loadtest.runs import HOLE, packed, run
from tests.web.conftest import ARGUMENTS

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def verdict(made: Run) -> report.Verdict:
    return report.verdict(made, Summary.of(made))


def test_both_files_are_written_and_the_run_reads_back(tmp_path: Path) -> None:
    made = run(5, failures=[HOLE], failed=1)
    html = report.write(made, tmp_path / "new" / "folder")
    assert html == tmp_path / "new" / "folder" / "report.html"
    assert load(html.parent) == made
    assert sorted(os.listdir(html.parent)) == ["report.html", "run.json"]
    assert html.stat().st_mode & 0o777 == 0o644


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report.write(run(3), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        report.write(run(9), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_headline_figures() -> None:
    seconds = [
        Second(
            at=at,
            connections=1_000,
            sent=100,
            acknowledged=100,
            delivered=100_000 + at,
            latencies={"delivery": packed([1_500] * 999 + [7_000])},
            server={"cpu": 0.5, "own_cpu": 0.25, "rss_bytes": 64 * 2**20},
        )
        for at in range(2)
    ]
    html = re.sub(r"<[^>]+>", " ", report.page(run(0, seconds=seconds)))
    for said in (
        "All promises kept: 200,001 deliveries",
        "1,000 open at most",
        "100,000 /s 100,001 in the best second",
        "delivery p99 1.50 ms p50 1.50, max 7.00",
        "50% of a core at most 50%; load generator 25%",
        "5.00 µs",
        "64.0 MiB",
        "delivery 1.50 1.50 1.50 1.50 7.00 2,000",
        "memory of a connection 2,450 bytes",
        "bytes per connection 2,450",
        "loader-1: AMD EPYC, 2 cores, Linux 6.1",
    ):
        assert said in " ".join(html.split())


def test_the_scenarios_own_rates_are_the_exact_ones() -> None:
    html = re.sub(r"<[^>]+>", " ", report.page(run(3, figures={"deliveries_per_second": 123_456.4})))
    assert "deliveries 123,456 /s" in " ".join(html.split())


def test_verdict_of_a_run_that_kept_its_promises() -> None:
    good = verdict(run(3))
    assert good.good
    assert "All promises kept" in good.text
    stopped = verdict(run(3, interrupted=True))
    assert stopped.good
    assert "interrupted after 3 seconds" in stopped.text


def test_verdict_of_a_run_with_failures() -> None:
    double = Failure(kind="double", text="")
    bad = verdict(run(3, failures=[HOLE, HOLE, double], failed=1_500))
    assert bad == report.Verdict(False, "Failed: 1,500 broken promises; of the first 3: hole 2, double 1.")
    assert verdict(run(3, failures=[HOLE], failed=1)).text == "Failed: 1 broken promises; hole 1."
    assert not verdict(run(3, failed=1)).good


def test_verdict_of_a_run_that_measured_nothing() -> None:
    assert verdict(run(0)) == report.Verdict(False, "Nothing was measured.")
    idle = verdict(run(0, seconds=[Second(at=0, connections=5)]))
    assert idle == report.Verdict(True, "No promise was broken; nothing was sent to be delivered.")


def test_runs_without_anything_still_have_a_page(tmp_path: Path) -> None:
    for made in (run(0, options={}, figures={}, machines=[], url=""), run(1), run(0, seconds=[Second(at=9)])):
        assert report.write(made, tmp_path).read_text().endswith("</html>")


def test_failures_are_listed() -> None:
    html = report.page(run(2, failures=[HOLE], failed=70))
    assert '<td>hole</td><td class="text">g.lobby: 12 follows 10</td>' in html
    assert "The first 1 of 70." in html


def test_command_repeats_the_run() -> None:
    made = run(1, options={"connections": 100, "warm_up": 2.5, "text": "a b; rm"}, url="ws://host/v1/socket")
    assert report.command(made) == (
        "python -m loadtest fanout --url ws://host/v1/socket --connections 100 --warm-up 2.5 --text 'a b; rm'"
    )
    assert report.command(run(1, options={}, url="")) == "python -m loadtest fanout"


def test_a_merged_run_says_of_how_many_machines() -> None:
    html = report.page(merge([run(2, seed=1), run(2, seed=2)]))
    assert "2 machines" in html
    assert "on each machine with its own values" in html


def hostile_run() -> Run:
    seconds = [
        Second(
            at=at,
            connections=1,
            delivered=1,
            latencies={HOSTILE: packed([1, 2])},
            server={f"queue.{HOSTILE}": 5, HOSTILE: 2, "cpu": 0.1},
        )
        for at in range(2)
    ]
    return Run(
        scenario=HOSTILE,
        url=HOSTILE,
        started=HOSTILE,
        options={HOSTILE: HOSTILE},
        machines=[HOSTILE],
        seconds=seconds,
        failures=[Failure(kind=HOSTILE, text=HOSTILE + "x" * 500)],
        figures={HOSTILE: 1.0},
    )


def test_what_others_named_is_text() -> None:
    html = report.page(hostile_run())
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("made", [run(30, failures=[HOLE], failed=1), hostile_run()], ids=["run", "hostile"])
def test_in_a_browser_it_asks_for_nothing_and_fits(browser: Browser, tmp_path: Path, made: Run, width: int) -> None:
    html = report.write(made, tmp_path)
    page = browser.new_page(viewport={"width": width, "height": 800})
    faults: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(html.as_uri())
    assert asked == [html.as_uri()]
    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("figure svg").count() > 3
    page.close()


def test_it_has_colours_for_the_light_and_the_dark(browser: Browser, tmp_path: Path) -> None:
    html = report.write(run(3), tmp_path)
    backgrounds = {}
    page = browser.new_page()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        page.goto(html.as_uri())
        backgrounds[scheme] = page.evaluate(
            "[['body', 'backgroundColor'], ['svg text', 'fill']]"
            ".map(([what, style]) => getComputedStyle(document.querySelector(what))[style])"
        )
    page.close()
    assert backgrounds["light"][0] != backgrounds["dark"][0]
    assert backgrounds["light"][1] != backgrounds["dark"][1]


def test_json_is_for_other_programs_too(tmp_path: Path) -> None:
    report.write(run(2), tmp_path)
    found = msgspec.json.decode((tmp_path / "run.json").read_bytes())
    assert found["scenario"] == "fanout"
    assert [second["at"] for second in found["seconds"]] == [0, 1]
