"""The runs of a cluster before one, as far as they can be read."""

from __future__ import annotations

from pathlib import Path

from clusterboot.errors import UsageError
from clusterboot.printable import listed, one_line

from .page import Past, PastRun
from .page.past import in_a_line
from .saved import read_runs

# As many as a season has nights, and no more than a few seconds' reading.
_MOST_RUNS = 90
_MOST_BYTES = 128_000_000
_NAMED = 3


def earlier(folder: Path) -> Past:
    """List the runs whose folders stand beside ``folder`` and are older by name, the newest first.

    What cannot be read, or is of another cluster, is left out and told of in a note.
    """
    older = sorted((path for path in _beside(folder) if path.name < folder.name), reverse=True)
    runs: list[PastRun] = []
    broken: list[str] = []
    left_bytes = _MOST_BYTES
    for count, path in enumerate(older):
        result = path / "result.json"
        try:
            left_bytes -= result.stat().st_size
            if len(runs) == _MOST_RUNS or left_bytes < 0:
                return Past(
                    tuple(runs), (*_skipped(broken), f"{len(older) - count} older runs are not shown")
                )
            (run,) = read_runs(result.read_bytes(), path.name)
        except FileNotFoundError:
            # Cut off, or still at work: there is no result to show.
            continue
        except (OSError, UsageError, ValueError) as problem:
            broken.append(f"{path.name} ({one_line(str(problem), 120)})")
            continue
        if run.cluster not in (None, folder.parent.name):
            broken.append(f"{path.name} (it is of the cluster {run.cluster})")
            continue
        runs.append(in_a_line(run, path.name))
    return Past(tuple(runs), _skipped(broken))


def _beside(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    except OSError:
        return []


def _skipped(broken: list[str]) -> tuple[str, ...]:
    if not broken:
        return ()
    return (f"left out, because not readable as a result: {listed(broken, _NAMED, '; ')}",)
