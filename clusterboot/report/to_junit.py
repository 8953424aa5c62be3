"""Benchmarks and link maps as JUnit XML, for CI systems. Source: the schema that Jenkins and GitLab read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from clusterboot.errors import HostResult
from clusterboot.folding import fold
from clusterboot.linkmap.pair_matrix import Finding, Inference, PairMatrix
from clusterboot.printable import one_line, printable
from clusterboot.programs.records import LogReport, Problem

from .about import About

# These are an ``error`` of JUnit's, every other bad verdict or status a ``failure``.
_ERRORS = ("inconclusive", "could-not-launch", "unreachable", "untrusted")
# XML 1.0 has no way to write these.
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


class _Case(NamedTuple):
    """A test case of JUnit's. ``kind`` is ``None`` where it passed, else ``failure`` or ``error``."""

    name: str
    kind: str | None = None
    type: str = ""
    message: str = ""
    text: str = ""
    time_s: float | None = None
    properties: Mapping[str, str] = {}


def to_junit(about: About, report: LogReport | None) -> str:
    """Write a log's verdicts as JUnit XML, for CI systems.

    The ``testsuite`` named ``clusterboot.collectives`` has one ``testcase`` a test, or one for a
    log without any; ``classname`` is the log's path, ``name`` the collective, numbered where it
    comes again. A ``property`` named ``library`` says what carried the data, ``shares_gpus`` that
    ranks used one GPU, whose bandwidth measures nothing. ``ok`` passes; ``inconclusive`` and
    ``could-not-launch`` are ``error``; the others are ``failure``. ``type`` is the verdict,
    ``message`` the reason, the text all problems with host, line and remedy. ``time`` is the sum of the
    rows' times in seconds. Then as :func:`_junit` has it.
    """
    cases: list[_Case] = []
    seen: Counter[str] = Counter()
    judged = zip(report.tests, report.judgement.tests, strict=True) if report else ()
    for test, judgement in judged:
        name = test.collective or "unknown"
        seen[name] += 1
        about_test = {"library": test.library} if test.library else {}
        about_test |= {"shares_gpus": "no measure of bandwidth"} if test.shares_gpus else {}
        times = [place.time_us for row in test.rows for place in row.placements if place.time_us is not None]
        shown = f"{name} {seen[name]}" if seen[name] > 1 else name
        verdict = test.verdict or "inconclusive"
        case = _case(shown, verdict, judgement.reason, test.problems)
        cases.append(case._replace(time_s=sum(times) / 1e6, properties=about_test))
    if report and report.verdict not in ("ok", *(test.verdict or "inconclusive" for test in report.tests)):
        # What stands outside the tests decided: without a case of its own it would be lost.
        overall = report.judgement.overall
        cases.append(_case("log", report.verdict, overall.reason, overall.problems))
    return _junit(about, "clusterboot.collectives", (report and report.path) or "nccl-tests", cases)


def _case(name: str, verdict: str, reason: str, problems: Sequence[Problem]) -> _Case:
    if verdict == "ok":
        return _Case(name)
    text = "\n".join(f"{p.where}{p.kind}: {one_line(p.text, 300)}; {p.remedy}" for p in problems)
    return _Case(name, _kind(verdict), verdict, reason or verdict, text or reason)


def _kind(word: str) -> str:
    return "error" if word in _ERRORS else "failure"


def matrix_to_junit(about: About, mapped: tuple[PairMatrix, Inference] | None) -> str:
    """Write the findings as JUnit XML, for CI systems.

    The ``testsuite`` named ``clusterboot.link-map`` has a ``testcase`` a node, and one a link or
    group that is at fault. A finding is a ``failure``, one that is not certain or not measured an
    ``error``; a verdict that no finding bears out has a case of its own, ``map``. Then as :func:`_junit` has
    it.
    """
    cases = _of_map(*mapped) if mapped else []
    return _junit(about, "clusterboot.link-map", "link-map", cases)


def _of_map(matrix: PairMatrix, inference: Inference) -> list[_Case]:
    def of_finding(name: str, finding: Finding) -> _Case:
        unsure = finding.next_pairs or finding.fraction_of_expected is None
        kind = "error" if unsure else "failure"
        return _Case(name, kind, inference.verdict, finding.evidence, finding.evidence)

    single = [each for each in inference.findings if each.kind == "node" and len(each.hosts) == 1]
    of_node = {each.hosts[0]: each for each in single}
    cases = [of_finding(node, of_node[node]) if node in of_node else _Case(node) for node in matrix.nodes]
    cases += [
        of_finding(
            f"{each.kind} {' with '.join(each.hosts) if each.kind == 'link' else fold(each.hosts)}", each
        )
        for each in inference.findings
        if each not in single
    ]
    if inference.verdict != "ok" and not inference.findings:
        told = "; ".join(inference.notes) or inference.verdict
        cases.append(_Case("map", "error", inference.verdict, told, told))
    return cases


def _of_host(host: HostResult) -> _Case:
    if host.status in ("ok", "skipped"):
        return _Case(host.name)
    told = ": ".join(filter(None, (host.stage, host.cause)))
    return _Case(
        *(host.name, _kind(host.status), host.status, told), "; ".join(filter(None, (told, host.remedy)))
    )


def _junit(about: About, suite: str, classname: str, cases: Sequence[_Case]) -> str:
    """Write the suites: that of the results, and ``clusterboot.hosts`` with a case for each host.

    Each suite says as properties what is known of the run, and when it began. Where the headline says that
    not all is well and no case does, one named ``run`` has the headline.
    """
    hosts = [_of_host(host) for host in about.hosts]
    line = about.headline
    if line.state not in ("ok", "dry run") and not any(case.kind for case in (*cases, *hosts)):
        kind = "failure" if line.state == "bad" else "error"
        cases = [*cases, _Case("run", kind, line.state, line.text, about.ending.reason)]
    suites = [(suite, classname, cases)] + ([("clusterboot.hosts", "host", hosts)] if hosts else [])
    root = ElementTree.Element("testsuites", _counts([*cases, *hosts]))
    for name, of_class, each in suites:
        inside = ElementTree.SubElement(root, "testsuite", {"name": name, **_counts(each), "skipped": "0"})
        if about.started:
            inside.set("timestamp", _xml(about.started.removesuffix("Z")))
        if about.duration_s is not None:
            inside.set("time", f"{about.duration_s:.3f}")
        _properties(inside, dict(about.words()))
        for case in each:
            _add(inside, of_class, case)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    kinds = Counter(case.kind for case in cases)
    return {
        "tests": str(len(cases)),
        "failures": str(kinds["failure"]),
        "errors": str(kinds["error"]),
    }


def _add(inside: ElementTree.Element, classname: str, case: _Case) -> None:
    about = {"classname": _xml(classname), "name": _xml(case.name)}
    about |= {} if case.time_s is None else {"time": f"{case.time_s:.6f}"}
    element = ElementTree.SubElement(inside, "testcase", about)
    _properties(element, case.properties)
    if case.kind:
        words = {"type": case.type, "message": _xml(one_line(case.message, 300))}
        ElementTree.SubElement(element, case.kind, words).text = _xml(case.text)


def _properties(inside: ElementTree.Element, words: Mapping[str, str]) -> None:
    if words:
        properties = ElementTree.SubElement(inside, "properties")
        for name, value in words.items():
            ElementTree.SubElement(properties, "property", {"name": name, "value": _xml(value)})


def _xml(text: str) -> str:
    return _NOT_XML.sub("", printable(text))
