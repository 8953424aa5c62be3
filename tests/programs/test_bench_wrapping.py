"""Messages of failure, however their lines break and whatever tag each line carries: one answer."""

from __future__ import annotations

import json
import re
import textwrap
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repetition import share

from clusterboot.programs.nccl_tests.log_lines import decode
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.verdict.verdict import judge

FIXTURES = Path(__file__).parent / "fixtures"
# Lines of a table or of the benchmark's own, and rules: no launcher wraps these.
OWN = re.compile(r"\s*(?:#|\d+\s+\d+\s+[a-z]|[-=@]{10,}|$)|.*(?:Avg bus|minBytes|NCCL INFO)")
TAGGED = re.compile(r"\s*(?:\[?\d+\]?: |\[[^\]]*\d,\d+\]|\w{3} \d|[\w.-]+:\s+#)")
# What tells of itself where its lines begin.
OWN_FIRST = re.compile(r"^(?:-{74}$|# nThread|#\s+Using devices|# .*-tests)")

Answer = tuple[str, tuple[tuple[str, str | None], ...]]


def answer(text: str) -> Answer:
    judged = judge(parse_log(text)).overall
    return judged.verdict, tuple((each.kind, each.host) for each in judged.problems)


def failures() -> dict[str, list[str]]:
    """Give the lines of each log of a failure that has a line to point at."""
    found = {}
    for path in sorted(FIXTURES.glob("*.json")):
        document = json.loads(path.read_text())
        text = decode(path.with_suffix(".txt").read_bytes())
        told = any(each["line"] and each["kind"] != "wrong-data" for each in document["problems"])
        lines = text.replace("\r\n", "\n").split("\n")
        if told and not text.startswith("{") and not any(TAGGED.match(line) for line in lines):
            found[path.stem] = lines
    return found


LOGS = failures()


@cache
def unchanged(name: str) -> Answer:
    return answer("\n".join(LOGS[name]))


def blanks(name: str) -> list[tuple[int, int]]:
    """Give each blank of each line that can be wrapped: the line, and where in it."""
    return [
        (at, match.start())
        for at, line in enumerate(LOGS[name])
        if not OWN.match(line)
        for match in re.finditer(r"(?<=\S) +(?=\S)", line)
    ]


def broken(name: str, at: int, where: int) -> str:
    lines = list(LOGS[name])
    lines[at] = lines[at][:where] + "\n" + lines[at][where:].lstrip(" ")
    return "\n".join(lines)


def rewrapped(name: str, width: int) -> list[str]:
    """Fill the lines that can be wrapped to another width, between two rules whole paragraphs."""
    filled: list[str] = []
    framed = open_ = False
    for line in LOGS[name]:
        framed ^= line.startswith("-" * 20)
        if OWN.match(line):
            filled.append(line)
            open_ = False
            continue
        words = line.split()
        if framed and open_:
            words = [*filled.pop().split(), *words]
        filled += textwrap.wrap(" ".join(words), width, break_long_words=False, break_on_hyphens=False)
        open_ = True
    return filled


def test_most_failures_are_wrapped_here() -> None:
    assert len(LOGS) > 80


@pytest.mark.parametrize("name", sorted(LOGS))
def test_a_line_break_at_any_blank_changes_nothing(name: str) -> None:
    for at, where in blanks(name):
        assert answer(broken(name, at, where)) == unchanged(name), (at, where)


@given(st.sampled_from(sorted(LOGS)), st.integers(12, 120), st.sampled_from(["", "[1,0]<stderr>:", "0: "]))
@settings(max_examples=share(200), deadline=None)
def test_other_widths_and_a_tag_on_each_line_change_nothing(name: str, width: int, tag: str) -> None:
    lines = rewrapped(name, width)
    verdict, problems = answer("\n".join(tag + line for line in lines))
    expected, whole = unchanged(name)
    assert verdict == expected
    assert [kind for kind, _ in problems] == [kind for kind, _ in whole]
    for (_, host), (_, wanted) in zip(problems, whole, strict=True):
        # A tag's rank may name the host that the words do not.
        assert host == wanted or (tag and wanted is None)


@pytest.mark.parametrize("tag", ["login-9: ", "10.0.0.9: ", "2026-01-02T10:11:12Z login-9: "])
def test_a_machines_name_before_each_line_changes_nothing(tag: str) -> None:
    wrong = []
    for name, lines in LOGS.items():
        tagged = "\n".join(tag + line for line in lines[:-1]) + "\n" + lines[-1]
        if sum(bool(line.strip()) for line in lines) > 5 and answer(tagged) != unchanged(name):
            wrong.append((name, answer(tagged), unchanged(name)))
    assert wrong == []


def test_what_was_written_twice_is_read_once() -> None:
    wrong = [
        name
        for name, lines in LOGS.items()
        if len(set(lines)) >= 5 and answer("".join(f"{line}\n" * 2 for line in lines)) != unchanged(name)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "before",
    [
        "[nccl-launcher-x7] ",
        "[2026-01-02, 10:11:12 UTC] {subprocess.py:93} INFO - ",
        "2026-01-02T10:11:12Z stdout F ",
    ],
)
def test_whatever_stands_before_every_line_changes_nothing(before: str) -> None:
    wrong = []
    logs = {name: lines for name, lines in LOGS.items() if any(OWN_FIRST.search(line) for line in lines)}
    for name, lines in logs.items():
        tagged = answer("\n".join(before + line for line in lines[:-1]) + "\n" + lines[-1])
        if tagged != unchanged(name):
            wrong.append((name, tagged, unchanged(name)))
    assert wrong == []
    assert len(logs) > 40
