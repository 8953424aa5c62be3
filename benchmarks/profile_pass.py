"""Where the CPU time of a pass goes: py-spy's samples of one run, added up by what they are spent on.

Only samples of a thread that holds the interpreter count: others wait, and cost nothing. The process is
not stopped for a sample: with a thread for each host that takes so long that py-spy falls behind, and
counts what runs then many times over. A run gives few samples for that, so that several are added up.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

_RUNS = 10
_START = "start: imports, cluster file, options"
# The innermost frame that matches says what a sample is spent on; the first rule wins.
RULES = (
    ("key exchange (paramiko kex_*, cryptography)", ("kex_", "_parse_kex", "_verify_key", "exchange")),
    ("authentication (signing, waiting for the answer)", ("auth_", "sign_ssh_data")),
    ("encrypting and reading packets (paramiko packet.py)", ("packet.py",)),
    (_START, ("loader.py", "model.py", "tasks/")),
    ("Fabric and Invoke objects", ("fabric/", "invoke/")),
    ("channels (paramiko channel.py, buffered_pipe.py)", ("channel.py", "buffered_pipe.py")),
    ("paramiko's transport thread", ("transport.py",)),
    ("clusterboot's own fan-out, pins, audit", ("clusterboot/",)),
    ("threads: their start and their end", ("threading.py", "thread.py")),
)


def spent_on(stack: str) -> str:
    """Say what a folded stack was spent on."""
    if "<frozen importlib" in stack:
        return _START
    for frame in reversed(stack.split(";")):
        for what, marks in RULES:
            if any(mark in frame for mark in marks):
                return what
    return "the rest"


def profile(argv: list[str], py_spy: Path, folder: Path, env: dict[str, str]) -> list[tuple[str, float]]:
    """Run a command under py-spy, several times.

    Returns: what its CPU time went to, as shares of 1, the largest first.
    """
    counts: Counter[str] = Counter()
    with tempfile.NamedTemporaryFile(suffix=".folded") as out:
        options = ["--gil", "--nonblocking", "-r", "100", "-f", "raw", "-o", out.name]
        for _ in range(_RUNS):
            recorder = [str(py_spy), "record", *options, "--", *argv]
            subprocess.run(recorder, cwd=folder, env=env, check=True, capture_output=True)
            for line in Path(out.name).read_text(encoding="utf-8").splitlines():
                stack, _, samples = line.rpartition(" ")
                if stack:
                    counts[spent_on(stack)] += int(samples)
    total = sum(counts.values()) or 1
    return [(what, count / total) for what, count in counts.most_common()]


if __name__ == "__main__":
    sys.exit(__doc__)
