"""How large the page of a full map of 1,024 nodes is, how fast it is made, and how fast it opens.

Run from the project's folder with what requirements-dev.lock has, and Chromium: ``python
benchmarks/report_open.py``. Writes report_open.json and report_open.md beside itself. Given bundles
of plotly.js (``… plotly.min.js plotly-cartesian.min.js``), it measures the same matrix in these too.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from clusterboot.document import document, render
from clusterboot.errors import ExitCode, HostResult
from clusterboot.linkmap.formats.json import matrix_to_json
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.report.page import page
from clusterboot.report.saved import read_runs

HERE = Path(__file__).parent
OPENINGS = 5
# What the measured page's own script would do with plotly.js in place of uPlot.
PLOTLY = """<!doctype html><meta charset=utf-8><div id=plot></div><script>%s</script><script>
const codes = Uint8Array.from(atob("%s"), (char) => char.charCodeAt(0));
const stream = new Blob([codes]).stream().pipeThrough(new DecompressionStream("deflate"));
new Response(stream).arrayBuffer().then((bytes) => {
  const cells = new Float32Array(bytes), size = Math.sqrt(cells.length);
  const z = Array.from({length: size}, (_, row) => cells.subarray(row * size, (row + 1) * size));
  const layout = {width: 900, height: 900, yaxis: {autorange: "reversed"}};
  return Plotly.newPlot("plot", [{type: "heatmap", z}], layout);
}).then(() => { document.documentElement.dataset.drawn = ""; });
</script>"""


def matrix(nodes: int) -> PairMatrix:
    """Make a map with 3% noise, a slow node and a dead pair, figures as the benchmark prints them."""
    rng = np.random.default_rng(1)
    cells = 12 * rng.normal(1, 0.03, (nodes, nodes))
    cells[nodes // 3] *= 0.5
    cells[1, nodes // 2] = 0.0
    latency = rng.normal(20, 0.6, (nodes, nodes))
    for each in (cells, latency):
        np.fill_diagonal(each, np.nan)
    names = tuple(f"gpu{at:04}.cluster.example" for at in range(1, nodes + 1))
    return PairMatrix(names, np.round(cells, 4), np.round(latency, 2))


def make(nodes: int, folder: Path) -> dict[str, Any]:
    """Make the result and the page of a map; give what each step took."""
    pairs = matrix(nodes)
    took: dict[str, float] = {}

    def timed(what: str, act: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        made = act()
        took[f"{what}_s"] = round(time.perf_counter() - began, 3)
        return made

    inference = timed("infer", lambda: infer(pairs))
    found = {
        **matrix_to_json(pairs, inference),
        "both_gb_s": matrix_to_json(pairs, inference)["bandwidth_gb_s"],
    }
    hosts = [HostResult(name) for name in pairs.nodes]
    head = {"cluster": "measured", "started": "2026-01-01T00:00:00Z", "duration_s": 60.0}
    made = document("link-map", exit_code=ExitCode.VALIDATION, hosts=hosts, more=found, **head)
    text = timed("write_json", lambda: render(made))
    runs = timed("read_json", lambda: read_runs(text.encode(), "result.json"))
    html = timed("page", lambda: page(runs))
    (folder / "report.html").write_text(html, encoding="utf-8")
    return {
        "nodes": nodes,
        **took,
        "json_mb": round(len(text.encode()) / 1e6, 2),
        "page_mb": round(len(html.encode()) / 1e6, 2),
        "python_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def opening(browser: Browser, file: Path) -> dict[str, Any]:
    """Open a page afresh several times; give from navigation to the map on the screen, and memory."""
    drawn_s, heap_mb = [], []
    for _ in range(OPENINGS):
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(file.as_uri(), wait_until="commit")
        tab.wait_for_selector("html[data-drawn]", timeout=120_000)
        # The frame after the one that shows it has begun.
        shown = (
            "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
        )
        drawn_s.append(tab.evaluate(shown) / 1000)
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable")
        metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        heap_mb.append(metrics["JSHeapUsedSize"] / 1e6)
        tab.close()
    return {
        "open_s": round(statistics.median(drawn_s), 2),
        "open_worst_s": round(max(drawn_s), 2),
        "heap_mb": round(statistics.median(heap_mb)),
    }


def beside(bundle: Path, folder: Path) -> Path:
    """Make a page that shows the same matrix with a bundle of plotly.js."""
    cells = matrix(1024).bandwidth_gb_s.astype("<f4")
    codes = base64.b64encode(zlib.compress(cells.tobytes(), 6)).decode("ascii")
    file = folder / f"{bundle.stem}.html"
    file.write_text(PLOTLY % (bundle.read_text(encoding="utf-8"), codes), encoding="utf-8")
    return file


def main() -> None:
    """Measure, and write the results beside this file."""
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        rows = []
        for nodes in (64, 256, 1024):
            made = make(nodes, folder)
            rows.append({**made, **opening(browser, folder / "report.html")})
        others = []
        for bundle in map(Path, sys.argv[1:]):
            file = beside(bundle, folder)
            size_mb = round(file.stat().st_size / 1e6, 2)
            others.append({"bundle": bundle.name, "page_mb": size_mb, **opening(browser, file)})
        version = browser.version
        browser.close()
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, Chromium {version}"
    load = round(os.getloadavg()[0], 1)
    (HERE / "report_open.json").write_text(
        json.dumps({"where": where, "load": load, "pages": rows, "others": others}, indent=1) + "\n"
    )
    (HERE / "report_open.md").write_text("\n".join(words(where, load, rows, others)) + "\n")


def words(where: str, load: float, rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[str]:
    """Write the results for people."""
    lines = [
        "# The page of a link map: its size, and how fast it opens",
        "",
        f"Full matrices of bandwidth, bandwidth both ways and latency, 3% noise. {where}; load {load}",
        "at the end. Opening is from the start of the navigation until the map is on the screen: the median",
        f"and the worst of {OPENINGS}.",
        "",
        "| nodes | infer s | write JSON s | JSON MB | read JSON s | make page s | page MB "
        "| open s | worst s | JS heap MB | Python peak MB |",
        "| --: " * 11 + "|",
    ]
    keys = ("nodes", "infer_s", "write_json_s", "json_mb", "read_json_s", "page_s", "page_mb")
    ends = ("open_s", "open_worst_s", "heap_mb", "python_peak_mb")
    lines += ["| " + " | ".join(str(row[key]) for key in (*keys, *ends)) + " |" for row in rows]
    if others:
        lines += [
            "",
            "The bandwidth alone of 1,024 nodes as plotly.js draws it, for comparison:",
            "",
            "| bundle | page MB | open s | worst s | JS heap MB |",
            "| --- | --: | --: | --: | --: |",
        ]
        ends = ("bundle", "page_mb", "open_s", "open_worst_s", "heap_mb")
        lines += ["| " + " | ".join(str(row[key]) for key in ends) + " |" for row in others]
    return lines


if __name__ == "__main__":
    main()
