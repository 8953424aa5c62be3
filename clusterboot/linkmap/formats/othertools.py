"""What a file is that is no measurement between nodes: named, so that nobody has to guess."""

from __future__ import annotations

import re

# Where all of a line's words are in a text, it is that: searched in its beginning, and nowhere far ahead, so
# that no text costs more than a look at it.
_BEGINNING = 200_000
_KINDS: tuple[tuple[tuple[str, ...], str], ...] = (
    ((r"^\W{0,3}OSU [^\n]{0,100}Latency[^\n]{0,100}Test",), "an OSU latency table"),
    ((r"^\W{0,3}OSU [^\n]{0,200}Test",), "an OSU table that is no bandwidth between two hosts"),
    ((r"(?:RDMA_Write|RDMA_Read|Send) Latency Test|t_typical\[usec\]",), "a perftest latency table"),
    ((r"\bAtomic[\w ]{0,40} (?:BW|Latency) Test",), "a perftest log of atomics"),
    ((r"\bt_typical\b|\bt_avg\b", r"\btest_info\b"), "perftest's JSON of latencies"),
    ((r"\bBW_average\b|\bbw_avg\b", r"\btest_info\b|\bresults\b"), "perftest's JSON without its test"),
    ((r"time:avg\(us\)|\bnccom-test\b",), "nccom-test's output"),
    ((r"\bGPCNeT\b",), "GPCNeT's output"),
    ((r"Network Tests v\d", r"Two-sided|Congest"), "GPCNeT's output"),
    ((r"Intel\(R\) MPI Benchmarks|# Benchmarking \w",), "output of the Intel MPI Benchmarks"),
    ((r"(?i:\bclusterkit\b)",), "ClusterKit's output"),
    (
        (r"P2P Connectivity Matrix|P2P=(?:Enabled|Disabled) Latency",),
        "p2pBandwidthLatencyTest's output without a table of bandwidths",
    ),
    ((r"\blatency\b[^\n]{0,100}\((?:row|column)\)",), "an nvbandwidth latency table"),
    ((r"RocmBandwidthTest|copy peak bandwidth GB/s",), "rocm-bandwidth-test's output"),
    ((r"^[ \t]+GPU0\b", r"CPU Affinity|^Legend:"), "nvidia-smi's table of the topology, without bandwidths"),
    ((r"^\[ ?ID\] +Interval|\biperf3?\b|\"bits_per_second\"",), "iperf's output"),
    ((r"^[ \t]*<(?:!DOCTYPE|html|\?xml)",), "a page of HTML or XML"),
    ((r"^\|[^\n]{1,500}\|[ \t]*$", r"^\|[ \t:|-]{3,500}$"), "a table in Markdown"),
    ((r"^ssh_config:|^type: (?:fleet|slurm)\b",), "a cluster file"),
    ((r"^[\w.-]{1,253} slots=\d",), "a hostfile"),
)
_MAGIC = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "packed with gzip"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ", "packed with xz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"PK\x03\x04", "a ZIP archive, or an office document"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "an SQLite database"),
)
_SEARCHES = tuple((tuple(re.compile(word, re.MULTILINE) for word in words), kind) for words, kind in _KINDS)


def kind_of(text: str) -> str | None:
    """Say what a text is that is no matrix and no log of a pair; ``None`` where it is nothing known."""
    beginning = text[:_BEGINNING]
    return next((kind for words, kind in _SEARCHES if all(word.search(beginning) for word in words)), None)


def kind_of_bytes(data: bytes) -> str | None:
    """Say what a file is that is no text, by its first bytes; ``None`` where they are nothing known."""
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)


def kind_of_csv(header: list[str]) -> str | None:
    """Say what a table is whose first line has words, but none for two ends and a bandwidth."""
    words = [word.strip() for word in header]
    if len(words) < 2 or not all(re.fullmatch(r"[A-Za-z#][\w #%()/\[\].-]{0,60}", word) for word in words):
        return None
    shown = ", ".join(words[:6]) + (", …" if len(words) > 6 else "")
    return f"a CSV of {shown}: it has no two columns of hosts and one of bandwidths"
