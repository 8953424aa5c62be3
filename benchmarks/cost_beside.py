"""What the map of a clean cluster costs beside an earlier version's, in one run and in turns.

    git worktree add ../before 4cfe1c1
    sudo .venv/bin/python benchmarks/cost_beside.py --before ../before [--runs 6]

Both versions map the same lab of 8 nodes, one after the other and so on, each as a user would. What a
command takes from its start to its end is written to cost_beside.md beside this file. 4cfe1c1 is the last
version that did not time streams by who receives them. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from clusterboot import lab as labs

HERE = Path(__file__).parent
NODES, RATE = 8, "300mbit"
MOST_TIMES = 1.2


def main() -> None:
    """Measure both versions in turns, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--runs", type=int, default=6, help="maps by each version")
    asked = parser.parse_args()
    trees = {"before": asked.before.resolve(), "now": HERE.parent}
    took_s: dict[str, list[float]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as folder, _lab(Path(folder)) as lab:
        for tree in trees.values():  # each has its program built once
            _map_s(tree, Path(folder), lab)
        for number in range(asked.runs):
            # Each goes first every other time, so that neither always follows the other.
            for name in list(trees)[:: 1 if number % 2 else -1]:
                took_s[name].append(_map_s(trees[name], Path(folder), lab))
                print(f"{name} {number + 1}: {took_s[name][-1]:.1f} s", flush=True)
    commits = {
        name: _said(["git", "-C", str(tree), "rev-parse", "--short", "HEAD"]) for name, tree in trees.items()
    }
    _write(took_s, commits)


@contextmanager
def _lab(folder: Path) -> Iterator[labs.Lab]:
    os.environ["CLUSTERBOOT_LAB_ROOT"] = f"{folder}/labs"
    name = f"bench-{os.getpid()}"
    try:
        lab = labs.up(name, nodes=NODES, rate=RATE)
        _clusterboot(HERE.parent, folder, "bootstrap", "--cluster", str(lab.cluster_file))
        yield lab
    finally:
        labs.down(name)


def _map_s(tree: Path, folder: Path, lab: labs.Lab) -> float:
    began_s = time.monotonic()
    said = json.loads(_clusterboot(tree, folder, "link-map", "--cluster", str(lab.cluster_file), "--json"))
    took_s = time.monotonic() - began_s
    if said["verdict"] != "ok":
        raise SystemExit(f"{tree}: a clean lab is {said['verdict']}: {said['findings']}")
    return took_s


def _clusterboot(tree: Path, folder: Path, *words: str) -> str:
    env = {
        **os.environ,
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(tree),
    }
    argv = [sys.executable, "-m", "clusterboot", *words]
    done = subprocess.run(
        argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 6):
        raise SystemExit(
            f"{tree}: clusterboot {words[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    return done.stdout


def _said(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def _write(took_s: dict[str, list[float]], commits: dict[str, str]) -> None:
    times = median(took_s["now"]) / median(took_s["before"])
    rows = [
        (f"{name}, {commits[name]}", len(each), *(f"{of(each):.1f}" for of in (median, min, max)))
        for name, each in took_s.items()
    ]
    lines = [
        "# What the map of a clean cluster costs, beside an earlier version",
        "",
        f"Made by `benchmarks/cost_beside.py`: a lab of {NODES} nodes with {RATE} links on",
        f"{os.cpu_count()} cores, mapped by both versions in turns; seconds from a command's start to its",
        "end.",
        "",
        "| version | maps | median | least | most |",
        "| --- | --: | --: | --: | --: |",
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
        "",
        f"{times:.2f} times as long as before, {'as' if times <= MOST_TIMES else '**not**'} promised:"
        f" at most {MOST_TIMES} times.",
    ]
    (HERE / "cost_beside.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
