"""The run that ``--keep-baseline`` kept: later runs of the cluster are held against it by themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from clusterboot import files
from clusterboot.document import parse
from clusterboot.errors import ClusterbootError, UsageError
from clusterboot.folding import fold

from .expectation import Baseline, Expectation, baseline_from_json

_NAME = "baseline.json"


@dataclass(frozen=True)
class KeptBaseline:
    """A kept run: what it measured over which backend, and in words when and on what."""

    baseline: Baseline
    backend: str
    what: str


def keep_baseline(state_dir: Path, document: str) -> None:
    """Keep a run's document in the operator's folder for its cluster, in place of the one kept before.

    Errors: :class:`ClusterbootError` where the disk does not take it.
    """
    try:
        files.replace(state_dir / _NAME, document.encode())
    except OSError as problem:
        cause = f"the baseline could not be kept in {state_dir}: {problem.strerror or 'unknown'}"
        raise ClusterbootError(cause, remedy="free space or mend its permissions") from None


def kept_baseline(state_dir: Path) -> KeptBaseline | None:
    """Read the kept run of a cluster; ``None`` where none was kept.

    Errors: :class:`UsageError` for a file that is no such run any more.
    """
    path = state_dir / _NAME
    try:
        document = parse(path.read_bytes())
        baseline = replace(baseline_from_json(document), is_kept=True)
        hosts = fold(host["name"] for host in document["hosts"] if host["status"] == "ok")
        backend = str(document["backend"])
        what = f"the baseline of {document['started']} on {hosts}, {backend}"
        return KeptBaseline(baseline, backend, what)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageError(
            f"the kept baseline {path} cannot be read: {problem}",
            remedy="remove it, or keep another with nccl-test --keep-baseline",
        ) from None


def with_kept(expectation: Expectation, kept: KeptBaseline | None, backend: str) -> Expectation:
    """Hold a run against the kept one too, where that is of its backend and no other is asked for."""
    if kept is None or kept.backend != backend or expectation.baseline is not None:
        return expectation
    source = " and ".join(filter(None, (expectation.source, kept.what)))
    return replace(expectation, baseline=kept.baseline, source=source)
