"""Single lines of a benchmark's output that are not rows: each a small function of one line."""

from __future__ import annotations

import re
from typing import Literal

from ..records import Rank, Sweep

_RANK = re.compile(
    r"\bRank\s+(?P<rank>\d+)(?:\s+Group\s+(?P<group>\d+))?(?:\s+Pid\s+(?P<pid>\d+))?"
    r"\s+on\s+(?:(?!device\s)(?P<host>\S+)\s+)?device\s+(?P<device>\d+)\s+\[(?P<bus>[^\]]*)\]\s*(?P<name>.*)"
)
_REMARK = re.compile(r"\s*#(?:\s|$)")
_RANK_BEGUN = re.compile(r"\s*#\s+Rank\s+\d")
_SWEEP = re.compile(
    r"^[^A-Za-z]*nThreads? +\d+ +nGpus +\d+ +minBytes +(?P<begin>\d+) +maxBytes +(?P<end>\d+)"
    r" +step: *(?P<step>\d+)\((?P<unit>factor|bytes)\)(?P<rest>.*)"
)
_SETTING = re.compile(r"([a-z ]+): (\d+)")

Fact = Literal[
    "starting",
    "concluded",
    "version",
    "rccl-tests",
    "collbench",
    "library",
    "out-of-bounds",
    "average",
    "reduced-to",
    "ranks-on-a-gpu",
]
# What a line says of itself, with the words that it always has: without them no pattern is tried.
_FACTS: dict[Fact, tuple[str, re.Pattern[str]]] = {
    "starting": ("test starting", re.compile(r"^[\s#]*Collective test starting:\s*(\S+)\s*$")),
    "concluded": ("test concluded", re.compile(r"\bCollective test concluded:\s*(\S+)")),
    # Since 2.17.4.
    "version": ("nccl-tests version", re.compile(r"^[\s#]*nccl-tests version (\S+)")),
    # Up to 2.13 it stands below the sweep's line, since 2.17 above it.
    "rccl-tests": ("rccl-tests", re.compile(r"^[\s#]*rccl-tests(?:: Version| version) (\S+)")),
    # collbench's first line: its version, and what carries the data, in whose memory.
    "collbench": ("collbench", re.compile(r"\bclusterboot collbench (\S+?):")),
    "library": ("collbench", re.compile(r"\bclusterboot collbench \S+?: ([^;]{1,80});")),
    "out-of-bounds": ("Out of", re.compile(r"\bOut of bounds values\s*:\s*(\d+)\s+(?:OK|FAILED)\b")),
    "average": ("Avg bus", re.compile(r"\bAvg bus bandwidth\s*:\s*(\S+)")),
    "reduced-to": ("Reducing", re.compile(r"\bReducing maxBytes to (\d+) due to memory limitation")),
    # collbench's, where ranks share a GPU.
    "ranks-on-a-gpu": ("Shared GPUs", re.compile(r"# Shared GPUs: up to (\d{1,6}) ranks on one\b")),
}

# Every line that anything below reads has one of these words.
_WORDS = ("Rank", "nThread", "Out of", "Avg bus", "Reducing", "test", "collbench", "type", "Shared GPUs")


def may_be(text: str) -> bool:
    """Tell quickly whether a line can be any that is read here or a column header."""
    return any(word in text for word in _WORDS)


def is_remark(text: str) -> bool:
    """Tell whether a line is one of the benchmark's own, that a mark and a blank begin."""
    return _REMARK.match(text) is not None


def begins_rank(text: str) -> bool:
    """Tell whether a line begins as those of the list of devices do."""
    return _RANK_BEGUN.match(text) is not None


def rank(text: str) -> Rank | None:
    """Read a line of the list of devices.

    Layouts before 2.13.4 have no group, 2018's no pid; a bracket that is not a PCI address
    (collbench's) gives no bus id.
    """
    match = _RANK.search(text) if "Rank" in text else None
    if not match:
        return None
    bus = match["bus"].strip()
    return Rank(
        int(match["rank"]),
        match["host"],
        int(match["device"]),
        int(match["group"]) if match["group"] else None,
        int(match["pid"]) if match["pid"] else None,
        bus if re.fullmatch(r"(?:0x)?[0-9a-fA-F:.]+", bus) else None,
        match["name"].strip() or None,
    )


def sweep(text: str) -> Sweep | None:
    """Read the line of parameters: ``nThread 1 nGpus 8 minBytes … step: 2(factor) …``."""
    match = _SWEEP.search(text) if "nThread" in text else None
    if not match:
        return None

    settings = {name.strip(): int(value) for name, value in _SETTING.findall(match["rest"])}
    return Sweep(
        int(match["begin"]),
        int(match["end"]),
        int(match["step"]),
        match["unit"] == "factor",
        settings.get("iters"),
        settings.get("warmup iters"),
        settings.get("validation"),
    )


def said(text: str, fact: Fact) -> str | None:
    """Read what a line says: a program's name, a version, a number; ``None`` where it does not say it."""
    words, pattern = _FACTS[fact]
    match = pattern.search(text) if words in text else None
    return match[1] if match else None


def count(text: str, fact: Fact) -> int | None:
    """Read a number that a line says, in ranks, bytes or elements."""
    found = said(text, fact)
    return None if found is None else int(found)


def begins(text: str) -> bool:
    """Tell whether a line is one of those with which a new test may begin."""
    if "test" not in text and "nThread" not in text and "collbench" not in text:
        return False
    early_rccl = said(text, "rccl-tests") and "headers=" in text
    return bool(
        early_rccl
        or said(text, "collbench")
        or said(text, "version")
        or said(text, "starting")
        or sweep(text)
    )


def ends_table(text: str) -> bool:
    """Tell whether no row of the table before this line can still be unfinished."""
    return said(text, "out-of-bounds") is not None or begins(text)
