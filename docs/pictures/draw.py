"""The README's pictures of a load test, from a run's report: `python docs/pictures/draw.py FOLDER`."""

import io
import re
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from loadtest import merge, report
from loadtest.progress import Progress

HERE = Path(__file__).parent
SHOWN = 0.7
"""How much of the run the terminal has seen."""


def main(folder: Path) -> None:
    run = merge.load(folder)
    progress = Progress(run.scenario, float(run.options["duration"]), Console(file=io.StringIO(), width=100))
    for second in run.seconds[: round(SHOWN * len(run.seconds))]:
        progress.update(second)
    terminal = Console(record=True, file=io.StringIO(), width=100)
    terminal.print(progress)
    drawn = terminal.export_svg(title=f"python -m loadtest {run.scenario}")
    # rich has the picture load its font from elsewhere
    (HERE / "loadtest-terminal.svg").write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL))

    html = report.write(run, folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 1240})
        page.goto(html.resolve().as_uri())
        page.screenshot(path=HERE / "loadtest-report.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
