"""CSV, JUnit XML and Prometheus text: how each is written, with text of nodes and logs made safe for it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree

from clusterboot.printable import one_line, printable

# What a cell may not begin with, because spreadsheets would run it.
_FORMULA = ("=", "+", "-", "@")
# XML 1.0 has no way to write these.
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

#: A metric's name, what it is in words, its labels and its value.
Sample = tuple[str, str, Mapping[str, str], float]


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Write one line of column names and a line a row; text has to come from :func:`csv_cell`.

    Source: RFC 4180.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def csv_cell(text: str | None) -> str:
    """Give a cell of one line; what a spreadsheet would take for a formula is preceded by ``'``."""
    clean = one_line(text, 4000) if text else ""
    return f"'{clean}" if clean.startswith(_FORMULA) else clean


@dataclass(frozen=True)
class Case:
    """A test case of JUnit's. ``kind`` is ``None`` where it passed; the next three say why it did not.

    ``time_s`` is how long it took in seconds, where that is known.
    """

    name: str
    kind: Literal["failure", "error"] | None = None
    type: str = ""
    message: str = ""
    text: str = ""
    time_s: float | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


def junit_text(suite: str, classname: str, cases: Sequence[Case]) -> str:
    """Write one ``testsuite``, for CI systems. Source: the schema that Jenkins and GitLab read."""
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.kind == "failure" for case in cases)),
        "errors": str(sum(case.kind == "error" for case in cases)),
    }
    root = ElementTree.Element("testsuites", counts)
    inside = ElementTree.SubElement(root, "testsuite", {"name": suite, **counts, "skipped": "0"})
    for case in cases:
        about = {"classname": xml_text(classname), "name": xml_text(case.name)}
        about |= {} if case.time_s is None else {"time": f"{case.time_s:.6f}"}
        element = ElementTree.SubElement(inside, "testcase", about)
        if case.properties:
            properties = ElementTree.SubElement(element, "properties")
            for name, value in case.properties.items():
                ElementTree.SubElement(properties, "property", {"name": name, "value": xml_text(value)})
        if case.kind:
            words = {"type": case.type, "message": xml_text(one_line(case.message, 300))}
            ElementTree.SubElement(element, case.kind, words).text = xml_text(case.text)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def xml_text(text: str) -> str:
    """Leave out what XML has no way to write."""
    return _NOT_XML.sub("", printable(text))


def prometheus_text(samples: Iterable[Sample]) -> str:
    """Write samples for the node exporter's textfile collector, those of a metric together.

    Source: Prometheus' "Exposition formats" and "Metric and label naming".
    """
    families: dict[str, tuple[str, list[str]]] = {}
    for name, text, labels, value in samples:
        words = ",".join(f'{label}="{_label(said)}"' for label, said in labels.items())
        families.setdefault(name, (text, []))[1].append(f"{name}{{{words}}} {value:.10g}")
    lines = []
    for name, (text, written) in families.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *dict.fromkeys(written)]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    clean = printable(text)
    return clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
