"""Single lines of a benchmark's output that are not rows: each a small function of one line."""

from __future__ import annotations

import math
import re

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
_OUT_OF_BOUNDS = re.compile(r"\bOut of bounds values\s*:\s*(\d+)\s+(OK|FAILED)\b")
_AVERAGE = re.compile(r"\bAvg bus bandwidth\s*:\s*(\S+)")
_REDUCING = re.compile(r"\bReducing maxBytes to (\d+) due to memory limitation")
_STARTING = re.compile(r"^[\s#]*Collective test starting:\s*(\S+)\s*$")
_CONCLUDED = re.compile(r"\bCollective test concluded:\s*(\S+)")
_VERSION = re.compile(r"^[\s#]*nccl-tests version (\S+)")
# rccl-tests has its line below the sweep's up to 2.13, above it since 2.17.
_RCCL = re.compile(r"^[\s#]*rccl-tests(?:: Version| version) (\S+)")
_COLLBENCH = re.compile(r"\bclusterboot collbench (\S+?):(?: ([^;]{1,80});)?")
_SHARED = re.compile(r"# Shared GPUs: up to (\d{1,6}) ranks on one\b")


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


def out_of_bounds(text: str) -> int | None:
    """Read the count of the footer ``Out of bounds values : N OK|FAILED``."""
    return _count(_OUT_OF_BOUNDS, "Out of", text)


def average_busbw(text: str) -> float | None:
    """Read the footer ``Avg bus bandwidth : X``.

    Returns: 10^9 bytes a second; NaN where the footer is there without a finite number.
    """
    match = _AVERAGE.search(text) if "Avg bus" in text else None
    if not match:
        return None
    try:
        value = float(match[1])
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def reduced_to(text: str) -> int | None:
    """Read ``Reducing maxBytes to N due to memory limitation``, in bytes."""
    return _count(_REDUCING, "Reducing", text)


def _first(pattern: re.Pattern[str], hint: str, text: str) -> str | None:
    match = pattern.search(text) if hint in text else None
    return match[1] if match else None


def _count(pattern: re.Pattern[str], hint: str, text: str) -> int | None:
    found = _first(pattern, hint, text)
    return None if found is None else int(found)


def starting(text: str) -> str | None:
    """Read the program's name of ``Collective test starting``."""
    return _first(_STARTING, "test starting", text)


def concluded(text: str) -> str | None:
    """Read the program's name of ``Collective test concluded``."""
    return _first(_CONCLUDED, "test concluded", text)


def version(text: str) -> str | None:
    """Read nccl-tests' own version, which it prints since 2.17.4."""
    return _first(_VERSION, "nccl-tests version", text)


def collbench(text: str) -> str | None:
    """Read the version of collbench's own first line."""
    return _first(_COLLBENCH, "collbench", text)


def library(text: str) -> str | None:
    """Read what carries the data, and in whose memory, from collbench's own first line."""
    match = _COLLBENCH.search(text) if "collbench" in text else None
    return match[2] if match else None


def ranks_on_a_gpu(text: str) -> int | None:
    """Read how many ranks share a GPU at most, where collbench says that they do."""
    return _count(_SHARED, "Shared GPUs", text)


def rccl(text: str) -> str | None:
    """Read the version of rccl-tests, AMD's build of the same benchmark."""
    return _first(_RCCL, "rccl-tests", text)


def begins(text: str) -> bool:
    """Tell whether a line is one of those with which a new test may begin."""
    if "test" not in text and "nThread" not in text and "collbench" not in text:
        return False
    early_rccl = rccl(text) is not None and "headers=" in text
    return early_rccl or any(read(text) is not None for read in (collbench, version, starting, sweep))


def ends_table(text: str) -> bool:
    """Tell whether no row of the table before this line can still be unfinished."""
    return out_of_bounds(text) is not None or begins(text)
