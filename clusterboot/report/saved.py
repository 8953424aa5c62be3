"""A saved ``result.json`` read back: what a page is made of, also of runs long past."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import numpy as np

from clusterboot.document import SCHEMA, parse
from clusterboot.errors import HostResult, UsageError
from clusterboot.facts.node import NodeFacts
from clusterboot.headline import CutShort, Ending, Headline
from clusterboot.linkmap.formats.cells import Rows, matrix_of
from clusterboot.linkmap.formats.reading import read_matrix
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.map_ending import map_ending
from clusterboot.linkmap.pair_matrix import Finding, Inference, PairMatrix, Rates
from clusterboot.printable import one_line, printable
from clusterboot.programs.records import BenchTest, Problem

from .about import About
from .factlines import FactLine, fact_lines

T = TypeVar("T")

_LONGEST = 400
_VERDICTS = ("ok", "slow", "inconclusive")


@dataclass(frozen=True)
class Expected:
    """What a collective was held against: a minimum from a size on, an earlier run's points, or both.

    ``baseline`` has pairs of a size in bytes and busbw in 10^9 bytes a second.
    """

    collective: str
    min_busbw_gb_s: float | None = None
    holds_from_bytes: int = 0
    baseline: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class SavedRun:
    """One run, as its ``result.json`` has it; ``name`` is what messages and the page call it.

    ``told`` has the single words and lines about the run by their names in the document. Of
    ``tests`` and ``matrix`` a run has what its command gives; ``both_gb_s`` has the shape of the
    matrix.
    """

    name: str
    command: str
    cluster: str | None = None
    started: str = ""
    duration_s: float | None = None
    exit_code: int | None = None
    verdict: str | None = None
    hosts: tuple[HostResult, ...] = ()
    notes: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[BenchTest, ...] = ()
    problems: tuple[Problem, ...] = ()
    expected: tuple[Expected, ...] = ()
    matrix: PairMatrix | None = None
    both_gb_s: Rates | None = None
    inference: Inference | None = None
    facts: tuple[FactLine, ...] = ()
    cut_short: CutShort | None = None
    dry_run: bool = False

    @property
    def about(self) -> About:
        """What the run's headline is made of, and what else each format says of it."""
        error = self.told.get("error")
        ending = Ending(
            self.verdict, self.told.get("reason", ""), (), "", self.cut_short, self.dry_run, error
        )
        if self.dry_run and not self.exit_code:
            # It measured nothing, whatever stands in its matrix.
            ending = Ending(dry_run=True)
        elif self.matrix is not None and self.inference is not None:
            ending = map_ending(self.matrix, self.inference, self.cut_short)
        return About(
            self.command,
            self.exit_code or 0,
            ending,
            self.hosts,
            self.cluster,
            self.started,
            self.duration_s,
            self.told.get("backend"),
            self.told.get("next"),
        )

    @property
    def headline(self) -> Headline:
        """What the run came to, in the words that it was told with."""
        made = self.about.headline
        return Headline(made.state, self.told.get("headline") or made.text)

    @property
    def sign(self) -> str:
        """The word of the run's badge: its verdict, unless a host is not done or there is none."""
        state = self.headline.state
        return self.verdict if self.verdict and state in ("ok", "bad", "inconclusive") else state


def read_runs(data: bytes, name: str) -> tuple[SavedRun, ...]:
    """Read the runs of a file.

    Parameters: the file's bytes; ``name`` is what messages call it.
    Returns: the one run of a ``result.json``; one for each file that ``nccl-parse`` or
    ``diagnose`` read; the map of a matrix that anybody made, judged here.
    Errors: :class:`UsageError` that says what is wrong, for anything else.
    """
    document = _document(data, name)
    if document is None:
        matrix = read_matrix(data, name)
        inference = infer(matrix)
        return (
            SavedRun(
                name,
                "diagnose",
                verdict=inference.verdict,
                notes=inference.notes,
                matrix=matrix,
                inference=inference,
            ),
        )
    # Other commands list hostfiles under this name.
    parts = document.get("files") if document.get("command") in ("nccl-parse", "diagnose") else None
    if parts is None:
        return (_run(document, name),)
    if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
        raise _bad(name, "it has no results in it")
    names = [_word(part.get("path")) or f"{name}, {at}" for at, part in enumerate(parts, 1)]
    return tuple(_run({**document, **part}, path) for path, part in zip(names, parts, strict=True))


def _document(data: bytes, name: str) -> dict[str, Any] | None:
    """Parse a document of this program; ``None`` for a file that may be something else of use."""
    try:
        document = parse(data)
    except ValueError as problem:
        if data.lstrip()[:1] != b"{":
            return None
        raise _bad(name, one_line(str(problem))) from None
    if isinstance(document, dict) and document.get("schema") == SCHEMA:
        return document
    if isinstance(document, dict) and "bandwidth_gb_s" in document and "schema" not in document:
        return None
    raise _bad(name, f"it is no result of {SCHEMA}")


def _run(document: Mapping[str, Any], name: str) -> SavedRun:
    return SavedRun(
        name=name,
        command=_word(document.get("command")) or "unknown command",
        cluster=_word(document.get("cluster")),
        started=_word(document.get("started")) or "",
        duration_s=_number(document.get("duration_s")),
        exit_code=_whole(document.get("exit_code")),
        verdict=_word(document.get("verdict")),
        hosts=_of(tuple[HostResult, ...], document, "hosts", name, ()),
        notes=_notes(document.get("notes")),
        told={
            **{key: told for key in _TOLD if (told := _word(document.get(key)))},
            **_mpi(document.get("mpi")),
            **_error(document.get("error")),
        },
        cut_short=next((each for each in _CUT_SHORT if each == document.get("cut_short")), None),
        dry_run=document.get("dry_run") is True,
        tests=_of(tuple[BenchTest, ...], document, "tests", name, ()),
        problems=(*_of(tuple[Problem, ...], document, "problems", name, ()), *_logins(document)),
        expected=_of(tuple[Expected, ...], document, "expected", name, ()),
        facts=_facts(document, name),
        **_map(document, name),
    )


# What is shown of a run as it stands in the document.
_TOLD = (
    *("reason", "what", "backend", "launch_host", "ranks", "network", "network_reason", "mode", "keys"),
    *("expected_from", "expected_derivation", "rounds", "launches", "folder", "headline", "next"),
)
_CUT_SHORT: tuple[CutShort, ...] = ("interrupted", "deadline", "budget")


def _logins(document: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Read what bootstrap found about the logins between nodes."""
    found = document.get("findings") if document.get("command") == "bootstrap" else None
    return tuple(
        Problem(
            "ssh", _word(each.get("text")) or "", _word(each.get("remedy")) or "", _word(each.get("host"))
        )
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
    )


def _facts(document: Mapping[str, Any], name: str) -> tuple[FactLine, ...]:
    """Read what the nodes are: in lines, or whole as the commands on nodes have it."""
    if "node_facts" in document:
        return _of(tuple[FactLine, ...], document, "node_facts", name, ())
    return fact_lines(_of(dict[str, NodeFacts], document, "facts", name, {}))


def _map(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Read what a link map has: the matrix, and what was found in it."""
    nodes, cells = document.get("nodes"), document.get("bandwidth_gb_s")
    if not isinstance(nodes, list) or not isinstance(cells, list):
        return {}
    latency = document.get("latency_us")
    matrix = matrix_of(name, Rows(nodes, cells, latency if isinstance(latency, list) else None))
    both = document.get("both_gb_s")
    findings = _of(tuple[Finding, ...], document, "findings", name, ())
    verdict = document.get("verdict")
    if verdict not in _VERDICTS:
        raise _bad(name, "its verdict is none of a link map")
    return {
        "matrix": matrix,
        "both_gb_s": matrix_of(name, Rows(nodes, both)).bandwidth_gb_s if isinstance(both, list) else None,
        "inference": Inference(verdict, findings, _notes(document.get("notes"))),
    }


def slowest_pairs(run: SavedRun, most: int) -> list[tuple[str, str, float]]:
    """List a map's slowest measured pairs with their bandwidth in GB/s, the slowest first."""
    if run.matrix is None:
        return []
    cells = run.matrix.bandwidth_gb_s
    flat = np.where(np.isnan(cells), np.inf, cells).ravel()
    count = min(most, int(np.isfinite(flat).sum()))
    at = np.argpartition(flat, count - 1)[:count] if count else np.array([], dtype=np.intp)
    at = at[np.argsort(flat[at], kind="stable")]
    names = run.matrix.nodes
    return [(names[i // len(names)], names[i % len(names)], float(flat[i])) for i in at.tolist()]


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    # Imported where a result is read: it would slow the start of every command.
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_python


def _of(kind: Any, document: Mapping[str, Any], key: str, name: str, absent: T) -> T:
    value = document.get(key)
    if value is None:
        return absent
    try:
        return _reader(kind)(value)  # type: ignore[no-any-return]
    except (ValueError, RecursionError) as problem:
        where = ""
        if errors := getattr(problem, "errors", None):
            first = errors()[0]
            where = f" at {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise _bad(name, f"{key} is not as this program writes it{one_line(where)}") from None


def _bad(name: str, cause: str) -> UsageError:
    return UsageError(f"{name}: {cause}", remedy="give the result.json of a run, or its folder")


def _word(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return one_line(str(value), _LONGEST * 10) or None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        return None
    return float(value)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _notes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(printable(note) for note in value if isinstance(note, str))


def _error(value: Any) -> dict[str, str]:
    """Read why a whole command failed."""
    cause = _word(value.get("cause")) if isinstance(value, dict) else None
    return {"error": cause} if cause else {}


def _mpi(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    kind, version, launcher = (_word(value.get(key)) for key in ("kind", "version", "launcher"))
    return {"mpi": " ".join(word for word in (kind, version, f"({launcher})" if launcher else "") if word)}
