"""Text of nodes and logs made safe for the formats of other programs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clusterboot.printable import one_line, printable

# What a cell may not begin with, because spreadsheets would run it.
_FORMULA = ("=", "+", "-", "@")
# XML 1.0 has no way to write these.
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def csv_cell(text: str | None) -> str:
    """Give a cell of one line; what a spreadsheet would take for a formula is preceded by ``'``."""
    clean = one_line(text, 4000) if text else ""
    return f"'{clean}" if clean.startswith(_FORMULA) else clean


def xml_text(text: str) -> str:
    """Leave out what XML has no way to write."""
    return _NOT_XML.sub("", printable(text))


def prometheus_sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Write one sample of Prometheus' text format."""
    words = ",".join(f'{label}="{_label(text)}"' for label, text in labels.items())
    return f"{name}{{{words}}} {value:.10g}"


def _label(text: str) -> str:
    clean = printable(text)
    return clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
