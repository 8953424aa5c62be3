"""Pages of saved results: of a run as it ends, with the runs before it, and of several side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from clusterboot import files
from clusterboot.errors import ClusterbootError, UsageError
from clusterboot.printable import listed, one_line
from clusterboot.session.results import save

from .page import MARK, Past, PastRun, page
from .page.past import in_a_line
from .saved import SavedRun, read_runs

_RESULT = "result.json"
_PAGE, _COMPARISON = "report.html", "comparison.html"
_MEASURED = re.compile(r"-(nccl-test|link-map)(-[0-9]+)?$")
_MOST_RUNS = 26
# As many as a season has nights, and no more than a few seconds' reading.
_MOST_EARLIER, _MOST_BYTES = 90, 128_000_000
_NAMED = 3
_REMEDY = "give the result.json of a run, its folder, or a folder of runs"


def publish(folder: Path, text: str) -> None:
    """Save a run's final result, and beside it the page made of it.

    Errors: :class:`ClusterbootError` where the disk does not take them.
    """
    save(folder, text)
    path = folder / _PAGE
    made = page(read_runs(text.encode(), str(folder / _RESULT)), earlier(folder))
    try:
        files.replace(path, made.encode())
    except OSError as problem:
        cause = f"{path} could not be written: {problem.strerror or 'unknown'}"
        raise ClusterbootError(cause, remedy="free space, then run report") from None


@dataclass(frozen=True)
class Kept:
    """Which of the runs that are kept below ``roots`` are meant: the newest one, where nothing else is said.

    ``last`` is how many of the newest; ``since`` is when the oldest may have begun.
    """

    roots: Sequence[Path]
    last: int | None = None
    since: datetime | None = None

    def results(self) -> list[Path]:
        """Give their results, oldest first: benchmarks and link maps of the cluster that was last at work.

        Errors: :class:`UsageError` where there is none.
        """
        found = {result for root in self.roots for result in root.glob(f"results/*/*/{_RESULT}")}
        names = sorted(found, key=lambda path: path.parent.name)
        if not names:
            places = " or ".join(map(str, self.roots))
            raise UsageError(f"there is no result below {places}", remedy=_REMEDY)
        if self.last is None and self.since is None:
            return names[-1:]
        measured = [path for path in names if _MEASURED.search(path.parent.name)]
        cluster = measured[-1].parent.parent.name if measured else None
        kept = [path for path in measured if path.parent.parent.name == cluster]
        if self.since is not None:
            # A run's folder is called by when it began, in UTC.
            first = self.since.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
            kept = [path for path in kept if path.parent.name >= first]
        if not kept:
            raise UsageError("there is no run of that time", remedy="give an earlier --since")
        return kept[-self.last :] if self.last else kept


def write_page(
    results: Sequence[str], output: str, here: Path, kept: Kept | None = None
) -> tuple[Path, tuple[SavedRun, ...]]:
    """Write the page of the results that ``results`` means.

    Parameters: files, folders of runs, or quoted globs; none means what ``kept`` says, without
    it the newest run below ``here``; where the page goes, empty for its usual place: beside the
    result of one run, else in ``here``, or beside the runs' folders where ``kept`` chose them.
    Returns: the page's path, and the runs that are in it.
    Errors: :class:`UsageError` for what cannot be read or written, and for a file in the way
    that is no such page.
    """
    paths = [path for word in results for path in _results(word)] or (kept or Kept([here])).results()
    runs = tuple(run for path in dict.fromkeys(paths) for run in read_runs(_bytes(path), str(path)))
    if len(runs) > _MOST_RUNS:
        raise UsageError(f"{len(runs)} runs side by side are too many", remedy=f"give at most {_MOST_RUNS}")
    one = len(runs) == 1 and paths[0].name == _RESULT
    name = _PAGE if one else _COMPARISON
    place = paths[0].parent if one else here if results else paths[0].parent.parent
    target = Path(output) if output else place / name
    if target.is_dir():
        target /= name
    _must_be_ours(target)
    if not one and target.name == _PAGE and (target.parent / _RESULT).exists():
        raise UsageError(f"{target} is the page of a single run", remedy="give another --output")
    past = earlier(paths[0].resolve().parent) if one else Past()
    try:
        files.replace(target, page(runs, past).encode())
    except OSError as problem:
        raise UsageError(f"{target} cannot be written: {problem.strerror}", remedy="give --output") from None
    return target, runs


def _results(word: str) -> list[Path]:
    """List the results that a word means: a file, a run's folder, a folder of runs, or a glob."""
    path = Path(word)
    if (path / _RESULT).is_file():
        return [path / _RESULT]
    if path.is_dir():
        found = sorted(path.glob(f"*/{_RESULT}"))
        if not found:
            raise UsageError(f"{word}: no run in this folder has a {_RESULT}", remedy=_REMEDY)
        return found
    if path.exists():
        return [path]
    matching = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))) if word else []
    if not matching:
        raise UsageError(f"{word}: no such file, and nothing matches it", remedy=_REMEDY)
    return [result for each in matching for result in _results(str(each))]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}", remedy="check its permissions") from None


def _must_be_ours(target: Path) -> None:
    """Refuse to write over a file that is somebody's own."""
    try:
        with target.open("rb") as file:
            beginning = file.read(4096)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise UsageError(f"{target}: {problem.strerror}", remedy="give --output") from None
    if MARK.encode() not in beginning:
        raise UsageError(
            f"{target} is there already, and is no page of this program's", remedy="give another --output"
        )


def earlier(folder: Path) -> Past:
    """List the runs whose folders stand beside ``folder`` and are older by name, the newest first.

    What cannot be read, or is of another cluster, is left out and told of in a note.
    """
    try:
        beside = [path for path in folder.parent.iterdir() if path.is_dir() and path.name < folder.name]
    except OSError:
        beside = []
    runs: list[PastRun] = []
    notes: list[str] = []
    broken: list[str] = []
    left_bytes = _MOST_BYTES
    for count, path in enumerate(sorted(beside, reverse=True)):
        result = path / _RESULT
        try:
            left_bytes -= result.stat().st_size
            if len(runs) == _MOST_EARLIER or left_bytes < 0:
                notes.append(f"{len(beside) - count} older runs are not shown")
                break
            (run,) = read_runs(result.read_bytes(), path.name)
        except FileNotFoundError:
            # Cut off, or still at work: there is no result to show.
            continue
        except (OSError, UsageError, ValueError) as problem:
            broken.append(f"{path.name} ({one_line(str(problem), 120)})")
            continue
        if run.cluster in (None, folder.parent.name):
            runs.append(in_a_line(run, path.name))
        else:
            broken.append(f"{path.name} (it is of the cluster {run.cluster})")
    if broken:
        notes.insert(0, f"left out, because not readable as a result: {listed(broken, _NAMED, '; ')}")
    return Past(tuple(runs), tuple(notes))
