"""JUnit XML and Prometheus text held against their published grammars, for every log there is."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clusterboot.errors import HostResult
from clusterboot.headline import Ending
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.report.about import About
from clusterboot.report.to_junit import to_junit
from clusterboot.report.to_prometheus import to_prometheus
from clusterboot.verdict.verdict import judge, report_of

LOGS = sorted((Path(__file__).parents[1] / "programs/fixtures").glob("*.txt"))

ABOUT = About(
    *("nccl-parse", 6, Ending("slow", 'x "y" \\ z\n'), (HostResult("n1"), HostResult("n8", "unreachable"))),
    *("a", "2026-01-02T03:04:05Z", 2.5, "mpi"),
)

# Prometheus, "Exposition formats", text format 0.0.4: names, label values with their three escapes,
# a Go float, and no timestamp here.
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
_SAMPLE = re.compile(
    rf"(?P<name>{_NAME})(?:\{{(?P<labels>{_LABEL}(?:,{_LABEL})*),?\}})? "
    r"(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)"
)
_HELP = re.compile(rf"# HELP ({_NAME}) (?:[^\\\n]|\\\\|\\n)*")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")

# The xUnit plugin's junit-10.xsd, which Jenkins and GitLab read by: what may stand in what, and what
# an element has to say.
_INSIDE = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err", "properties"},
}
_MUST_SAY = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name", "classname"},
    "property": {"name", "value"},
}


def check_prometheus(text: str) -> None:
    assert text.endswith("\n")
    ended: set[str] = set()
    samples: set[tuple[str, frozenset[str]]] = set()
    family, typed = "", False
    for line in text.splitlines():
        match = _HELP.fullmatch(line) or _TYPE.fullmatch(line) or _SAMPLE.fullmatch(line)
        assert match, line
        name = match[1]
        if name != family:
            ended.add(family)
            family, typed = name, False
        # All lines of a metric stand together, what it is before its values.
        assert name not in ended, line
        if line.startswith("# TYPE"):
            assert not typed, line
            typed = True
        elif not line.startswith("#"):
            assert typed, line
            labels = re.findall(_LABEL, match["labels"] or "")
            assert len({label.partition("=")[0] for label in labels}) == len(labels), line
            key = (name, frozenset(labels))
            assert key not in samples, line
            samples.add(key)


def check_junit(text: str) -> None:
    root = ElementTree.fromstring(text)  # noqa: S314
    assert root.tag in ("testsuites", "testsuite")
    for element in root.iter():
        assert {child.tag for child in element} <= _INSIDE.get(element.tag, set()), element.tag
        assert _MUST_SAY.get(element.tag, set()) <= set(element.attrib), element.tag
        if "time" in element.attrib:
            assert float(element.attrib["time"]) >= 0
    for suite in root.iter("testsuite"):
        cases = suite.findall("testcase")
        found = Counter(child.tag for case in cases for child in case)
        assert int(suite.attrib["tests"]) == len(cases)
        assert int(suite.attrib["failures"]) == found["failure"]
        assert int(suite.attrib["errors"]) == found["error"]
        assert len({(case.attrib["classname"], case.attrib["name"]) for case in cases}) == len(cases)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_what_other_programs_read_is_in_their_grammar(path: Path) -> None:
    log = parse_log(path.read_bytes())
    report = report_of(log, judge(log), str(path))
    check_prometheus(to_prometheus(ABOUT, report))
    check_junit(to_junit(ABOUT, report))
