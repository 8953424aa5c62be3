"""Make the pictures of the report: of a lab with a slowed node, and of a map of 1,024 nodes.

Run from the project's folder with what requirements-dev.lock has, Chromium, and as root for the lab:
``python docs/screenshots.py``. The 1,024 nodes are made up: 3% noise, a node that receives at two
thirds, one that sends at half, and a dead pair.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from clusterboot.document import document, render
from clusterboot.errors import ExitCode, HostResult
from clusterboot.linkmap.formats.json import matrix_to_json
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.report.page import page
from clusterboot.report.saved import read_runs

DOCS = Path(__file__).parent
SLOWED = "n5"


@contextmanager
def lab(folder: str) -> Iterator[dict[str, str]]:
    """Run a lab of the pictures' own, bootstrapped; give the environment of commands on it."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CLUSTERBOOT_LAB_ROOT": f"{folder}/labs",
        "XDG_STATE_HOME": f"{folder}/state",
        "HOME": folder,
    }

    def run(*words: str, fails: bool = False) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "clusterboot", *words], cwd=folder, env=environment, check=False
        )
        if done.returncode and not fails:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}")

    run("lab.up", "--nodes", "8", "--rate", "100mbit")
    try:
        run("bootstrap", "--cluster", "lab")
        run("link-map", "--cluster", "lab", "--mode", "full", fails=True)
        run("nccl-test", "--cluster", "lab", "--collective", "all_reduce,all_gather", "-b", "1K", "-e", "4M")
        run("lab.break", SLOWED, "slow-nic")
        run("link-map", "--cluster", "lab", "--mode", "full", fails=True)
        yield environment
    finally:
        run("lab.down")


def large(nodes: int) -> str:
    """Make the page of a map that no lab is large enough for."""
    rng = np.random.default_rng(1)
    cells = 48 * rng.normal(1, 0.03, (nodes, nodes))
    cells[:, 700] *= 0.66
    cells[300] *= 0.5
    cells[120, 860] = 0
    np.fill_diagonal(cells, np.nan)
    names = tuple(f"gpu{at:04}" for at in range(1, nodes + 1))
    pairs = PairMatrix(names, cells, rng.normal(9, 0.3, cells.shape))
    found = {**matrix_to_json(pairs, infer(pairs)), "rounds": nodes - 1, "launches": 1}
    hosts = [HostResult(name) for name in names]
    head = {"cluster": "made-up", "started": "2026-01-01T03:00:00Z", "duration_s": 214.0}
    made = render(document("link-map", exit_code=ExitCode.VALIDATION, hosts=hosts, more=found, **head))
    return page(read_runs(made.encode(), "result.json"))


@contextmanager
def opened(browser: Browser, file: Path, scheme: str, width: int, height: int) -> Iterator[Page]:
    """Open a page, ready to be taken."""
    tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    tab.goto(file.as_uri())
    tab.wait_for_selector("html[data-ready]")
    yield tab
    tab.close()


def hover(tab: Page, across: float, down: float) -> None:
    """Move the mouse to a place in the first heat map, by shares of its width."""
    box = tab.locator(".heat .u-over").first.bounding_box()
    if box is None:
        raise SystemExit("the heat map is not shown")
    tab.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)


def main() -> None:
    """Take the pictures."""
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        with lab(folder):
            newest = max(Path(folder).glob("results/lab/*-link-map/report.html"))
            for scheme in ("light", "dark"):
                with opened(browser, newest, scheme, 1080, 1300) as tab:
                    hover(tab, 0.65, 4.5 / 8)
                    tab.screenshot(path=DOCS / f"report-{scheme}.png")
        file = Path(folder) / "large.html"
        file.write_text(large(1024), encoding="utf-8")
        with opened(browser, file, "light", 1080, 900) as tab:
            tab.locator("#map").evaluate("section => window.scrollTo(0, section.offsetTop)")
            hover(tab, 0.45, 300.5 / 1024)
            tab.screenshot(path=DOCS / "report-1024.png")
        browser.close()


if __name__ == "__main__":
    main()
