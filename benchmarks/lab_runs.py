"""What benchmarks of link maps share: a lab, commands as a user gives them, and runs made in pieces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusterboot import lab as labs


@contextmanager
def bootstrapped(folder: Path, nodes: int, rate: str) -> Iterator[labs.Lab]:
    """Give a lab whose nodes reach each other; all of it is below ``folder``, and gone in the end."""
    os.environ["CLUSTERBOOT_LAB_ROOT"] = f"{folder}/labs"
    name = f"bench-{os.getpid()}"
    try:
        lab = labs.up(name, nodes=nodes, rate=rate)
        clusterboot(folder, "bootstrap", "--cluster", str(lab.cluster_file))
        yield lab
    finally:
        labs.down(name)


def clusterboot(folder: Path, *words: str) -> str:
    """Run a command as a user whose home is ``folder``, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "clusterboot", *words],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    # A link map that could not be finished has a verdict as well.
    if done.returncode not in (0, 6) and '"verdict"' not in done.stdout:
        raise SystemExit(f"clusterboot {words[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def begun(path: Path, kind: Mapping[str, Any], *, fresh: bool) -> dict[str, Any]:
    """Give the results of earlier pieces, or none; ``kind`` is what all runs of a file have in common."""
    if fresh or not path.exists():
        return {**kind, "runs": []}
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(results[key] != value for key, value in kind.items()):
        raise SystemExit(f"{path} has runs of another kind: --fresh begins anew")
    return results
