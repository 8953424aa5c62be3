"""Tests while a log is being read, and what only the whole of them can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..records import BenchTest, Problem, Rank, Row

_NOT_MPI_REMEDY = "build nccl-tests with MPI=1 and the mpirun's own MPI"
# Of a thousand ranks that warn of the same thing, this many are enough to see whose fault it is.
_MOST_WARNINGS = 32


@dataclass
class Draft:
    """A test while it is being read."""

    test: BenchTest = field(default_factory=BenchTest)
    ranks: list[Rank] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether so much was seen of it that another first line belongs to another test."""
        return bool(self.test.sweep or self.ranks or self.rows)

    def set(self, **changes: object) -> None:
        """Change fields of the test by name."""
        self.test = replace(self.test, **changes)  # type: ignore[arg-type]

    def finish(self) -> BenchTest:
        """Give the test with all that was gathered."""
        return replace(
            self.test,
            ranks=tuple(self.ranks),
            rows=tuple(self.rows),
            problems=_distinct(self.problems),
            warnings=_distinct_warnings(self.warnings),
        )


@dataclass(frozen=True)
class Place:
    """Where in a log a line stands: the test that is open there, and whether it has begun."""

    draft: Draft | None
    begun: bool


def _distinct(problems: list[Problem]) -> tuple[Problem, ...]:
    """Keep the first of each kind on each host: all ranks of a job tell the same story."""
    kept: dict[tuple[str, str | None], Problem] = {}
    for problem in problems:
        kept.setdefault((problem.kind, problem.host), problem)
    # The same story without a host adds nothing to one with a host, told in the same words.
    return tuple(
        problem
        for problem in kept.values()
        if problem.host or not any(_same_words(problem, other) for other in kept.values())
    )


def _same_words(problem: Problem, other: Problem) -> bool:
    return other.host is not None and other.kind == problem.kind and problem.text in other.text


def _distinct_warnings(warnings: list[Problem]) -> tuple[Problem, ...]:
    """Keep the first warning of each rank, and not more than can be read."""
    kept: dict[tuple[str | None, int | None], Problem] = {}
    for problem in warnings:
        kept.setdefault((problem.host, problem.rank), problem)
    return tuple(kept.values())[:_MOST_WARNINGS]


def without_single_rank_jobs(drafts: list[Draft]) -> list[Draft]:
    """Recognise tests that are one job started N times, each for itself.

    A program built without MPI, started by mpirun, prints N tables that begin with rank 0:
    where they ran into each other, which row is whose cannot be told, and they are made one.
    """
    return [draft for group in _groups(drafts) for draft in _told_apart(group)]


def _groups(drafts: list[Draft]) -> Iterator[list[Draft]]:
    """Part drafts into those that can be copies of one job, each with a rank 0 of its own."""
    group: list[Draft] = []
    for draft in drafts:
        single = all(rank.rank == 0 for rank in draft.ranks) or _repeats(draft.ranks)
        sweeps = {each.test.sweep for each in (*group[:1], draft)} - {None}
        if group and (not single or len(sweeps) > 1):
            yield group
            group = []
        group.append(draft)
        if not single and all(each.test.concluded for each in group[:-1]):
            yield group
            group = []
    if group:
        yield group


def _repeats(ranks: list[Rank]) -> bool:
    """Tell whether one test lists one rank number in two processes."""
    numbers: dict[int, set[tuple[str | None, int | None]]] = {}
    for rank in ranks:
        numbers.setdefault(rank.rank, set()).add((rank.host, rank.pid))
    return any(len(processes) > 1 for processes in numbers.values())


def _told_apart(drafts: list[Draft]) -> list[Draft]:
    ranks = [rank for draft in drafts for rank in draft.ranks]
    processes = {(rank.host, rank.pid) for rank in ranks}
    all_repeat = _repeats(ranks)
    if len(processes) < 2 or not all_repeat:
        return drafts
    single = all(rank.rank == 0 for rank in ranks)
    each = "one rank" if single else f"{len(ranks) // len(processes)} ranks"
    text = f"{len(processes)} jobs of {each} each instead of one job"
    problem = Problem("not-mpi-build", text, _NOT_MPI_REMEDY)
    apart = all(draft.test.concluded and not _repeats(draft.ranks) for draft in drafts)
    if apart:
        same = len({(draft.test.collective, draft.test.sweep) for draft in drafts}) == 1
        for draft in drafts if same and single else ():
            draft.problems.insert(0, problem)
        return drafts
    if all(draft.test.concluded for draft in drafts[:-1]) and not any(
        _repeats(draft.ranks) for draft in drafts
    ):
        return drafts
    return [_merged(drafts, problem)]


def _merged(drafts: list[Draft], problem: Problem) -> Draft:
    layout = next((draft.test.layout for draft in drafts if draft.test.layout), None)
    merged = Draft(replace(drafts[0].test, layout=layout), problems=[problem])
    for draft in drafts:
        merged.ranks += draft.ranks
        merged.rows += draft.rows
        merged.problems += draft.problems
        merged.warnings += draft.warnings
    return merged
