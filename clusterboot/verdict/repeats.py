"""Several runs of one benchmark: their median, their spread, and one verdict for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from clusterboot.programs.records import (
    PLACEMENTS,
    BenchTest,
    Judgement,
    LogJudgement,
    LogReport,
    Placement,
    PlacementName,
    Problem,
    Row,
    Verdict,
)

from .bandwidth import plateaus, shortfall
from .expectation import Expectation, not_judged

# Good clusters repeat their plateau to a few percent; with more than this between best and
# worst, a median that is too low says nothing about the hardware.
WIDE_SPREAD = 0.2
_FIGURES = ("time_us", "algbw_gb_s", "busbw_gb_s")
# What happened in any run decides, before bandwidth is looked at.
_DECIDES: tuple[Verdict, ...] = ("wrong-data", "could-not-launch", "failed", "hung")


@dataclass(frozen=True)
class Spread:
    """The plateaus of one collective's repeats, in 10^9 bytes a second, in the runs' order.

    ``spread`` is the range over the median, 0.05 for 5%.
    """

    collective: str | None
    placement: PlacementName
    runs_gb_s: tuple[float, ...]
    median_gb_s: float
    spread: float

    @property
    def wide(self) -> bool:
        """Whether the runs differ by too much to call anything slow."""
        return self.spread > WIDE_SPREAD

    def __str__(self) -> str:
        """Say it in words."""
        name = f"{self.collective or 'a test'} {self.placement.replace('_', '-')}"
        count = len(self.runs_gb_s)
        return f"{name}: median {self.median_gb_s:.4g} GB/s of {count} runs, spread {self.spread:.0%}"


def spreads(reports: Sequence[LogReport]) -> tuple[Spread, ...]:
    """Give median and spread of each collective and placement over several runs' reports."""
    values: dict[tuple[str | None, PlacementName], list[float]] = {}
    for report in reports:
        for test in report.tests:
            for plateau in plateaus(test):
                values.setdefault((test.collective, plateau.placement), []).append(plateau.busbw_gb_s)
    return tuple(
        Spread(*which, tuple(found), middle, (max(found) - min(found)) / middle if middle else 0.0)
        for which, found in values.items()
        for middle in (median(found),)
    )


def judge_repeats(reports: Sequence[LogReport], expectation: Expectation | None = None) -> Judgement:
    """Give one judgement for several runs of the same benchmark.

    Parameters: each run's report, in order; what the bandwidth is held against.
    Returns: the first of wrong data, a failed launch, a failure and a hang that any run met;
    else ``inconclusive`` where any run's table is not whole, or where the medians are too low
    and the runs differ by more than :data:`WIDE_SPREAD`; else ``slow`` or ``ok`` by the
    medians, size by size.
    """
    expectation = expectation or Expectation()
    at = _deciding(reports)
    if at is not None:
        overall = reports[at].judgement.overall
        return replace(overall, reason=f"run {at + 1} of {len(reports)}: {overall.reason}")
    found = spreads(reports)
    notes = tuple(str(spread) for spread in found)
    problems = tuple(dict.fromkeys(problem for report in reports for problem in report.problems))
    return _by_medians(reports, expectation, found, problems, notes)


def repeated(reports: Sequence[LogReport], expectation: Expectation | None = None) -> LogReport:
    """Make one report of several runs.

    Parameters: as for :func:`judge_repeats`.
    Returns: the report of the run that decides where one does, else of the medians.
    """
    overall = judge_repeats(reports, expectation)
    at = _deciding(reports)
    if at is not None:
        return reports[at].with_overall(overall)
    tests = median_tests(reports)
    alike = [report for report in reports if _shape(report) == _shape(reports[0])]
    alone = [[replace(each, tests=(each.tests[n],)) for each in alike] for n in range(len(tests))]
    judged = tuple(_by_medians(each, expectation or Expectation(), spreads(each), (), ()) for each in alone)
    told = tuple(
        replace(test, verdict=each.verdict, problems=each.problems)
        for test, each in zip(tests, judged, strict=True)
    )
    return LogReport(told, LogJudgement(overall, judged))


def _deciding(reports: Sequence[LogReport]) -> int | None:
    """Give the run whose verdict is that of all: what happened in any of them is not outvoted."""
    verdicts = [each.verdict for each in reports]
    return next((verdicts.index(each) for each in (*_DECIDES, "inconclusive") if each in verdicts), None)


def _by_medians(
    reports: Sequence[LogReport],
    expectation: Expectation,
    found: tuple[Spread, ...],
    problems: tuple[Problem, ...],
    notes: tuple[str, ...],
) -> Judgement:
    if not reports:
        return Judgement("inconclusive", "nothing was run")
    medians = median_tests(reports)
    shortfalls = [shortfall(test, expectation, is_median=len(reports) > 1) for test in medians]
    reasons = [reason for each in shortfalls for reason in each.reasons]
    if problems:
        # A complete table with a problem is below a minimum that was set in the benchmark itself.
        reasons.insert(0, problems[0].text)
    notes = (*notes, *(note for each in shortfalls for note in each.notes))
    wide = [spread for spread in found if spread.wide]
    if reasons and wide:
        return Judgement("inconclusive", f"{wide[0]}: too wide to call it slow", problems, (*reasons, *notes))
    if reasons:
        return Judgement("slow", reasons[0], problems, (*reasons[1:], *notes))
    impossible = next((each.impossible for each in shortfalls if each.impossible), None)
    if impossible:
        return Judgement("inconclusive", impossible, problems, notes)
    if any(not each.comparable for each in shortfalls):
        return Judgement("inconclusive", "the baseline does not fit this run", problems, notes)
    compared = any(each.compared for each in shortfalls)
    remarks = () if compared else (not_judged(expectation),)
    return Judgement(
        "ok", f"{len(reports)} runs, all rows and footers are there, no wrong value", (), (*notes, *remarks)
    )


def median_tests(reports: Sequence[LogReport]) -> tuple[BenchTest, ...]:
    """Make of several runs' tests one of each, with the medians of their times and bandwidths.

    Runs whose tests or rows are not the same in number are left out where they differ.
    """
    first = reports[0]
    alike = [report for report in reports if _shape(report) == _shape(first)]
    return tuple(
        replace(
            test, rows=tuple(_median_row(rows) for rows in zip(*(each.rows for each in same), strict=True))
        )
        for test, same in zip(first.tests, zip(*(report.tests for report in alike), strict=True), strict=True)
    )


def _shape(report: LogReport) -> list[list[tuple[int, str, str | None, int | None]]]:
    return [[(row.size_bytes, row.dtype, row.redop, row.root) for row in test.rows] for test in report.tests]


def _median_row(rows: Sequence[Row]) -> Row:
    out_of_place, in_place = (_median_place([row.placement(name) for row in rows]) for name in PLACEMENTS)
    return replace(rows[0], out_of_place=out_of_place, in_place=in_place)


def _median_place(places: Sequence[Placement | None]) -> Placement | None:
    known = [place for place in places if place is not None]
    if not known:
        return None
    figures = {name: [getattr(place, name) for place in known] for name in _FIGURES}
    given = {name: [each for each in values if each is not None] for name, values in figures.items()}
    return replace(known[0], **{name: median(each) if each else None for name, each in given.items()})
