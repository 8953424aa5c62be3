"""What a benchmark's output becomes: ranks, rows, tests, problems."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Layout = Literal["1", "2.0", "2.13", "2.19"]
Tool = Literal["nccl-tests", "rccl-tests", "collbench"]
Verdict = Literal["ok", "slow", "wrong-data", "failed", "hung", "could-not-launch", "inconclusive"]
ProblemKind = Literal[
    "nccl-error",
    "cuda-error",
    "mpi-launch",
    "no-slots",
    "ssh",
    "missing-library",
    "missing-executable",
    "not-mpi-build",
    "timeout",
    "truncated",
    "wrong-data",
    "usage",
    "killed",
    "min-bandwidth",
]

PlacementName = Literal["out_of_place", "in_place"]
PLACEMENTS: tuple[PlacementName, ...] = ("out_of_place", "in_place")


@dataclass(frozen=True)
class Rank:
    """One rank as the benchmark's own list of devices has it; ``None`` where it says nothing."""

    rank: int
    host: str | None
    device: int | None = None
    group: int | None = None
    pid: int | None = None
    bus_id: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Placement:
    """One half of a row. ``None`` is N/A or not a finite number, never 0.

    Bandwidths are 10^9 bytes a second. ``wrong`` counts elements; ``error`` is the largest
    deviation that layouts 1 and 2.0 print instead.
    """

    time_us: float | None
    algbw_gb_s: float | None
    busbw_gb_s: float | None
    wrong: int | None = None
    error: float | None = None


@dataclass(frozen=True)
class Row:
    """One size of one test; a placement is ``None`` where the table has no such columns."""

    size_bytes: int
    count: int | None
    dtype: str
    redop: str | None
    root: int | None
    out_of_place: Placement | None
    in_place: Placement | None
    line: int | None = None

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Those of the two placements that the row has, out-of-place first."""
        return tuple(place for place in (self.out_of_place, self.in_place) if place is not None)

    def placement(self, name: PlacementName) -> Placement | None:
        """Give one of the two placements by its name."""
        return self.out_of_place if name == "out_of_place" else self.in_place


@dataclass(frozen=True)
class Sweep:
    """What a test said that it was going to run: from its line of parameters.

    ``step`` multiplies the size where ``by_factor``, else it is added, in bytes.
    """

    begin_bytes: int
    end_bytes: int
    step: int
    by_factor: bool
    iterations: int | None = None
    warmup: int | None = None
    check: int | None = None


@dataclass(frozen=True)
class Problem:
    """Something in a log that an administrator has to know, and what to do about it.

    ``line`` counts from 1; ``None`` where nothing is there to point at. ``host`` and ``rank``
    are whose words they are, or whom they are about; ``None`` where the log does not say.
    ``ends_a_run`` is false for a warning that explains a failure and proves none.
    """

    kind: ProblemKind
    text: str
    remedy: str
    host: str | None = None
    line: int | None = None
    rank: int | None = None
    ends_a_run: bool = True

    @property
    def where(self) -> str:
        """Host and line as they stand before a problem's words, empty where neither is known."""
        host = f"{self.host}: " if self.host else ""
        return host + (f"line {self.line}: " if self.line else "")


@dataclass(frozen=True)
class BenchTest:
    """One table of a log, and all that the log says about it.

    ``out_of_bounds`` is the footer's count, in line ``footer_line``; ``concluded`` is true
    where both lines of the footer are there, ``broken_rows`` the number of rows that were begun
    and not finished.
    ``reduced_to_bytes`` is the largest size after "Reducing maxBytes". ``warnings`` are what
    the library warned of: they explain a failure and are remarks beside a good table.
    ``rank_count`` is the number of ranks of one communicator where ``ranks`` is known to be
    only some of them. ``library`` is what carried the data where the log names it, as collbench
    does: ``NCCL 2.21.5, GPU memory``. ``ranks_on_a_gpu`` is the largest number of ranks that
    shared one: with more than 1 its bandwidth measures nothing.
    """

    collective: str | None = None
    tool: Tool = "nccl-tests"
    layout: Layout | None = None
    version: str | None = None
    ranks: tuple[Rank, ...] = ()
    sweep: Sweep | None = None
    reduced_to_bytes: int | None = None
    rows: tuple[Row, ...] = ()
    avg_busbw_gb_s: float | None = None
    out_of_bounds: int | None = None
    footer_line: int | None = None
    concluded: bool = False
    broken_rows: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    rank_count: int | None = None
    library: str | None = None
    ranks_on_a_gpu: int = 1
    verdict: Verdict | None = None

    @property
    def shares_gpus(self) -> bool:
        """Whether several ranks used one GPU, so that no bandwidth can be concluded."""
        return self.ranks_on_a_gpu > 1

    @property
    def peak(self) -> tuple[float, int] | None:
        """The best printed busbw of both placements, in 10^9 bytes a second, and its size in bytes."""
        points = [
            (place.busbw_gb_s, row.size_bytes)
            for row in self.rows
            for place in row.placements
            if place.busbw_gb_s is not None
        ]
        return max(points, key=lambda point: point[0], default=None)


@dataclass(frozen=True)
class ParsedLog:
    """A whole log, read but not judged; ``problems`` and ``warnings`` are those outside any test.

    ``began`` is true where a rank got as far as the benchmark, if only to fail in it.
    """

    tests: tuple[BenchTest, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    began: bool = False


@dataclass(frozen=True)
class Judgement:
    """A verdict, its reason in one line, the problems behind it, and remarks that change nothing."""

    verdict: Verdict
    reason: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogJudgement:
    """The whole log's judgement, and each test's in the log's order."""

    overall: Judgement
    tests: tuple[Judgement, ...] = ()


@dataclass(frozen=True)
class LogReport:
    """A whole log, judged: its tests, each with its own verdict and problems, and the judgement of all."""

    tests: tuple[BenchTest, ...]
    judgement: LogJudgement
    path: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the whole."""
        return self.judgement.overall.verdict

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of all tests and of what is around them."""
        return self.judgement.overall.problems

    def with_overall(self, overall: Judgement) -> LogReport:
        """Give the same report with another judgement of the whole."""
        return replace(self, judgement=replace(self.judgement, overall=overall))
