"""Where results are kept: one folder a run, made before the run starts."""

from __future__ import annotations

import time
from pathlib import Path

from clusterboot.errors import ClusterbootError
from clusterboot.flows.context import Context


def result_folder(context: Context, command: str) -> Path:
    """Make ``results/NAME/TIME-COMMAND`` for a run, with a number behind it where that is taken.

    Errors: :class:`ClusterbootError` where it cannot be made: then nothing is launched.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(context.started_s))
    base = context.out_dir / "results" / context.cluster.name
    try:
        base.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = base / (f"{stamp}-{command}" + (f"-{number}" if number > 1 else ""))
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
        cause = "a thousand runs began in this second"
    except OSError as problem:
        cause = problem.strerror or "unknown"
    raise ClusterbootError(
        f"no folder for results below {base}: {cause}", remedy="free space or mend its permissions"
    )


def save(folder: Path, text: str) -> Path:
    """Write ``result.json`` beside the raw log, whole or not at all."""
    path = folder / "result.json"
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
    return path
