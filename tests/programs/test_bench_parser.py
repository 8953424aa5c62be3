"""Logs as they come, beside what they say: a new pair of files in fixtures/ is a new test."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repetition import share

from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.nccl_tests.rows import RowReader
from clusterboot.verdict.as_json import to_json
from clusterboot.verdict.verdict import judge, report_of

FIXTURES = Path(__file__).parent / "fixtures"
LOGS = sorted(FIXTURES.glob("*.txt"))
GOOD = (FIXTURES / "all_reduce_213_two_nodes.txt").read_text()


def read(data: bytes | str) -> dict[str, object]:
    log = parse_log(data)
    return to_json(report_of(log, judge(log)))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_log_says_what_stands_beside_it(path: Path) -> None:
    assert read(path.read_bytes()) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize(
    "name",
    ["tags_and_info_in_a_row", "hydra_labels_in_pieces", "crlf_bom_ansi"],
)
def test_a_launchers_dressing_changes_nothing(name: str) -> None:
    assert read((FIXTURES / f"{name}.txt").read_bytes()) == read(GOOD)


@given(cut=st.integers(0, len(GOOD)))
@settings(max_examples=share(60), deadline=None)
def test_a_log_cut_anywhere_gives_only_rows_that_were_printed_and_no_verdict_but_inconclusive(
    cut: int,
) -> None:
    whole = {row for test in parse_log(GOOD).tests for row in test.rows}
    log = parse_log(GOOD[:cut])
    assert {row for test in log.tests for row in test.rows} <= whole
    if cut < GOOD.index("# Avg"):
        assert judge(log).overall.verdict == "inconclusive"


@given(st.binary(max_size=2000))
@settings(max_examples=share(100), deadline=None)
def test_any_bytes_at_all_are_read_without_a_fault(data: bytes) -> None:
    assert judge(parse_log(data)).overall.verdict in ("inconclusive", "failed", "could-not-launch", "hung")


@given(st.integers(0, 2**32))
@settings(max_examples=share(30), deadline=None)
def test_other_processes_lines_between_rows_change_no_row(seed: int) -> None:
    shuffle = random.Random(seed)  # noqa: S311
    noise = "gpu002:4109:4209 [1] NCCL INFO Channel 00/0 : 9[1] -> 10[2] via P2P/IPC\n"
    noisy = "".join(noise * shuffle.randint(0, 2) + line for line in GOOD.splitlines(keepends=True))
    sizes = [row.size_bytes for row in parse_log(noisy).tests[0].rows]
    assert sizes == [row.size_bytes for row in parse_log(GOOD).tests[0].rows]
    assert judge(parse_log(noisy)).overall.verdict == "ok"


def test_a_row_is_there_as_soon_as_its_line_is() -> None:
    reader = RowReader()
    seen = [(line.split()[0], reader.feed_text(line)) for line in GOOD.splitlines() if line.strip()]
    rows = {first: row for first, row in seen if row is not None}
    assert list(rows) == ["8", "64", "512", "4096", "32768", "262144", "2097152", "16777216", "134217728"]
    assert rows["2097152"].out_of_place.wrong == 0
    assert rows["2097152"].redop == "sum"


def test_a_row_without_its_tables_header_is_taken_only_if_it_can_mean_one_thing() -> None:
    start = "     1048576        262144     float     sum      -1"
    row = RowReader().feed_text(start + "    100.0   10.49   18.35      0" * 2)
    assert row is not None
    assert row.in_place is not None
    assert row.in_place.busbw_gb_s == 18.35
    assert RowReader().feed_text(start + "    100.0   10.49   18.35  2e-07" * 2) is None
    half_of_219 = start + "    100.0   10.49   18.35       0     97.0    108.0    108.0     1.91"
    assert RowReader().feed_text(half_of_219) is None


def test_halves_of_two_processes_rows_are_never_made_one() -> None:
    header = "#       size         count      type   redop    root     time   algbw   busbw #wrong" + (
        "     time   algbw   busbw #wrong"
    )
    start = "     1048576        262144     float     sum      -1"
    own, foreign = "    100.0   10.49   18.35      0", "    200.0   10.49   18.35      0"
    together, mixed = RowReader(), RowReader()
    rows = [together.feed_text(line) for line in (header, start + own, own)]
    assert rows[-1] is not None
    assert [mixed.feed_text(line) for line in (header, start + own, foreign)] == [None] * 3


def test_a_row_in_tagged_pieces_on_one_line_is_read_as_it_streams() -> None:
    reader = RowReader()
    for line in GOOD[: GOOD.index("           8 ")].splitlines():
        reader.feed_text(f"[1,0]<stdout>:{line}")
    start, rest = "           8             2     float     sum", "      -1    25.00    0.00    0.00      0"
    assert (
        reader.feed_text(f"[1,0]<stdout>:{start}[1,3]<stderr>:gpu001:4103:4203 [3] NCCL INFO comm 0x55")
        is None
    )
    row = reader.feed_text(f"[1,0]<stdout>:{rest}    25.25    0.00    0.00      0")
    assert row is not None
    assert (row.size_bytes, row.root) == (8, -1)


@pytest.mark.parametrize(("cut", "average"), [("102.9", None), ("102.903", 102.903), ("102.903 ", 102.903)])
def test_an_average_at_the_logs_very_end_counts_only_if_it_cannot_lack_digits(
    cut: str, average: float | None
) -> None:
    log = parse_log(GOOD[: GOOD.index("102.903")] + cut)
    assert log.tests[0].avg_busbw_gb_s == average
    assert judge(log).overall.verdict == ("ok" if average else "inconclusive")


def test_a_devices_name_at_the_logs_very_end_is_not_taken_for_whole() -> None:
    cut = GOOD[: GOOD.index("NVIDIA H100") + 11]
    assert parse_log(cut).tests[0].ranks[0].name is None
    assert parse_log(cut + "\n").tests[0].ranks[0].name == "NVIDIA H100"


def test_a_tag_names_the_host_of_a_problem() -> None:
    tagged = GOOD[: GOOD.index("# Out of")] + "[1,9]<stderr>:Test NCCL failure common.cu:958 'remote error'\n"
    (problem,) = parse_log(tagged).tests[0].problems
    assert (problem.kind, problem.host) == ("nccl-error", "gpu002")


def test_figures_that_are_not_numbers_are_unknown_not_zero() -> None:
    odd = GOOD.replace("  449.03", "     inf")
    (test,) = parse_log(odd).tests
    assert test.rows[-1].out_of_place.busbw_gb_s is None
    assert test.rows[-1].out_of_place.time_us is not None


def test_a_last_row_whose_last_cell_may_have_lost_digits_is_not_a_row() -> None:
    spoilt = GOOD[: GOOD.index(" 2097152 ")].rstrip()[:-1] + "120"
    whole, cut = parse_log(spoilt + "\n").tests[0], parse_log(spoilt[:-1]).tests[0]
    assert len(whole.rows) == len(cut.rows) + 1
    assert (whole.broken_rows, cut.broken_rows) == (0, 1)


@pytest.mark.parametrize(
    "text", ["y\n" * 100_000, "a." * 2_000_000, "\x1b]" * 200_000, "1 " * 500_000, "\0" * 2_000_000]
)
def test_output_that_is_no_log_at_all_is_told_so_in_bounded_time(text: str) -> None:
    judged = judge(parse_log(text))
    assert (judged.overall.verdict, judged.tests) == ("inconclusive", ())
