"""Logs that something happened to: no crash, nothing invented, and no ``ok`` for what lost rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repetition import share

from clusterboot.programs.nccl_tests.log_lines import decode
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import Row
from clusterboot.verdict.verdict import judge

FIXTURES = Path(__file__).parent / "fixtures"
ALL = [decode(path.read_bytes()) for path in sorted(FIXTURES.glob("*.txt"))]
# Good logs whose lines are as the benchmark printed them: one row, one line.
PLAIN = [
    decode((FIXTURES / f"{name}.txt").read_bytes()).replace("\r\n", "\n")
    for name in (
        *("all_reduce_1", "all_reduce_20", "all_reduce_213_two_nodes", "all_reduce_219_per_iteration"),
        *(
            "all_operations",
            "alltoall_213",
            "every_root",
            "hypercube_empty_redop",
            "layout_1_header_among_ranks",
        ),
        *(
            "per_iteration_with_timestamps",
            "rccl_217_version_line",
            "rccl_only_in_place",
            "reducing_max_bytes",
        ),
        *("three_cycles", "timestamps_2176", "version_and_memory_lines", "collbench_all_collectives"),
    )
]
OWN_JSON = [(FIXTURES / f"{name}.txt").read_text() for name in ("own_json", "own_json_per_iteration")]
NOISE = [
    "gpu002:4109:4209 [1] NCCL INFO Channel 00/0 : 9[1] -> 10[2] via P2P/IPC",
    "[1700000000.123456] [gpu001:4100 :0]  ucp_worker.c:1783 UCX  WARN  transport 'rc_x' is not available",
    "Warning: Permanently added '10.1.0.5' (ED25519) to the list of known hosts.",
    "[gpu001:04100] 15 more processes have sent help message help-mpi-btl-openib.txt / error in device init",
    "",
    "NCCL version 2.27.3+cuda12.9",
    "2 3",
]


def rows_of(text: str) -> Counter[Row]:
    return Counter(_unplaced(row) for test in parse_log(text).tests for row in test.rows)


def _unplaced(row: Row) -> Row:
    return Row(row.size_bytes, row.count, row.dtype, row.redop, row.root, row.out_of_place, row.in_place)


def verdict(text: str) -> str:
    return judge(parse_log(text)).overall.verdict


@pytest.mark.parametrize("text", PLAIN)
def test_the_fuzzed_logs_are_good_before_anything_happens_to_them(text: str) -> None:
    assert verdict(text) == "ok"


@given(st.sampled_from(ALL + OWN_JSON), st.data())
@settings(max_examples=share(60), deadline=None)
def test_whatever_is_cut_doubled_swapped_or_spoilt_is_read_without_a_fault(
    text: str, data: st.DataObject
) -> None:
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(lines) - 1)))
        what = data.draw(st.sampled_from(["drop", "double", "swap", "cut", "spoil", "join"]))
        if what == "drop":
            lines[at : at + data.draw(st.integers(1, 9))] = []
        elif what == "double":
            lines[at:at] = lines[at : at + 3]
        elif what == "swap":
            lines.reverse()
        elif what == "cut" and lines:
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        elif what == "spoil" and lines:
            lines[at] += data.draw(st.text(max_size=20))
        elif what == "join" and len(lines) > 1:
            lines[at : at + 2] = ["".join(lines[at : at + 2])]
    judge(parse_log("\n".join(lines)))


@given(st.sampled_from(PLAIN + OWN_JSON), st.data())
@settings(max_examples=share(80), deadline=None)
def test_a_log_cut_anywhere_is_ok_only_with_its_whole_footer_and_gives_no_row_that_was_not_there(
    text: str, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    whole, part = rows_of(text), rows_of(text[:cut])
    assert not part - whole
    if verdict(text[:cut]) == "ok":
        assert part == whole or "Avg bus" in text[:cut]
        assert "Avg bus bandwidth" in text[:cut] or text[:cut].rstrip().endswith("}")


@given(st.sampled_from(PLAIN), st.data())
@settings(max_examples=share(80), deadline=None)
def test_no_log_that_lost_some_of_its_rows_is_ok(text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    whole = rows_of(text)
    at = [row.line - 1 for test in parse_log(text).tests for row in test.rows if row.line is not None]
    lost = set(data.draw(st.lists(st.sampled_from(at), min_size=1, max_size=3, unique=True)))
    left = "\n".join(line for number, line in enumerate(lines) if number not in lost)
    assert not rows_of(left) - whole
    assert verdict(left) != "ok"


@given(st.sampled_from(PLAIN), st.data())
@settings(max_examples=share(40), deadline=None)
def test_no_log_that_lost_its_footer_or_its_parameters_is_ok(text: str, data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(["Out of bounds", "Avg bus", "minBytes"]))
    left = "\n".join(line for line in text.split("\n") if word not in line)
    assert verdict(left) != "ok"


@given(st.sampled_from(PLAIN), st.data())
@settings(max_examples=share(60), deadline=None)
def test_lines_of_others_tags_and_colours_change_nothing(text: str, data: st.DataObject) -> None:
    tag = data.draw(
        st.sampled_from(["", "[1,0]<stdout>:", "[prterun-a-1@1,0]<stdout>: ", "0: ", "[0] ", "> ", "node7: "])
    )
    colour = data.draw(st.booleans())
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    out = []
    for line in text.rstrip("\n").split("\n"):
        if data.draw(st.integers(0, 5)) == 0:
            out.append(data.draw(st.sampled_from(NOISE)))
        out.append(f"\x1b[32m{tag}{line}\x1b[0m" if colour else tag + line)
    dressed = end.join(out) + end
    assert rows_of(dressed) == rows_of(text)
    assert verdict(dressed) == "ok"


@given(st.sampled_from(PLAIN), st.data())
@settings(max_examples=share(60), deadline=None)
def test_a_library_line_that_breaks_a_row_in_two_changes_nothing_or_is_told(
    text: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(text.index("type"), len(text)))
    broken = text[:at] + "gpu002:4109:4209 [1] NCCL INFO Channel 00/0 : 9[1] -> 10[2]\n" + text[at:]
    rows = rows_of(broken)
    assert not rows - rows_of(text)
    if verdict(broken) == "ok":
        assert rows == rows_of(text)


@given(st.sampled_from(PLAIN), st.data())
@settings(max_examples=share(40), deadline=None)
def test_rows_that_come_twice_are_not_ok(text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    doubled = "\n".join(lines[: at + 1] + lines[at:])
    if sum(rows_of(doubled).values()) != sum(rows_of(text).values()):
        assert verdict(doubled) != "ok"
