"""What ``bootstrap --verify full`` costs, beside the same logins made by hand.

A lab of N nodes is bootstrapped; then all N x (N-1) logins are made twice, by the proof itself and by a
shell loop on every node at once, which is what an expert would start with one parallel ssh: as many at a
time, by the same configuration, against the same sshds. The order changes from round to round. The ratio
of the two is to stay at or below 1.3.

Run it as root with ``python benchmarks/verify_full.py [NODES [ROUNDS]]``; the figures go to
``verify_full.json`` and ``verify_full.md`` beside this file.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clusterboot import lab as labs
from clusterboot.commands.bootstrap import bootstrap
from clusterboot.errors import Status
from clusterboot.inventory.loader import load
from clusterboot.lab.enter import enter_argv, init_of
from clusterboot.session.context import Context
from clusterboot.session.events import Silence
from clusterboot.trust.verify import PARALLEL_OF_ALL

LIMIT = 1.3
HERE = Path(__file__).parent
# Of many at one door sshd turns some away (MaxStartups): those are tried again, by both.
_BY_HAND = """try='ssh -n -o BatchMode=yes "$1" true'
printf "%s\\n" "$@" | xargs -P {width} -I @ sh -c "$try 2>/dev/null || {{ sleep 1; $try; }}" sh @
"""


class Stopwatch(Silence):
    """Takes the time from the beginning of a stage of logins to its last host's end."""

    def __init__(self) -> None:
        self._running = False
        self._begun_s = 0.0
        self.took_s = 0.0

    def stage(self, title: str, count: int) -> None:  # noqa: ARG002
        """Begin, where it is that stage."""
        self._running, self._begun_s = title.startswith("logins "), time.monotonic()

    def done(self, status: Status, count: int = 1) -> None:  # noqa: ARG002
        """Take the time so far."""
        if self._running:
            self.took_s = time.monotonic() - self._begun_s


def prove(lab: labs.Lab, folder: Path) -> float:
    """Let the product make all logins; gives its seconds."""
    watch = Stopwatch()
    context = Context(load(lab.cluster_file), folder / "state", folder, events=watch)
    result = bootstrap(context, "full")
    if result.exit_code != 0:
        raise SystemExit(f"not every login worked: {result.findings or result.hosts}")
    return watch.took_s


def by_hand(lab: labs.Lab) -> float:
    """Make all logins with a loop on each node, all nodes at once; gives the seconds."""
    script = _BY_HAND.format(width=PARALLEL_OF_ALL)
    addresses = [node.address for node in lab.nodes]
    begun_s = time.monotonic()
    running = []
    for at, node in enumerate(lab.nodes):
        targets = [*addresses[at + 1 :], *addresses[:at]]
        argv = enter_argv(init_of(node), ["sh", "-c", script, "sh", *targets], "ubuntu")
        running.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
    failed = [process.wait() for process in running]
    took_s = time.monotonic() - begun_s
    if any(failed):
        raise SystemExit("a login failed by hand")
    return took_s


def main() -> int:
    nodes, rounds = (int(word) for word in (*sys.argv[1:], "64", "1")[:2])
    name = f"verify-full-{os.getpid()}"
    times: dict[str, list[float]] = {"proof": [], "by hand": []}
    with tempfile.TemporaryDirectory() as folder:
        try:
            lab = labs.up(name, nodes=nodes)
            bootstrap(Context(load(lab.cluster_file), Path(folder) / "state", Path(folder)), "none")
            ways: list[tuple[str, Callable[[], float]]] = [
                ("proof", lambda: prove(lab, Path(folder))),
                ("by hand", lambda: by_hand(lab)),
            ]
            for number in range(rounds):
                for way, measure in ways if number % 2 == 0 else ways[::-1]:
                    times[way].append(round(measure(), 2))
                    print(f"{way}: {times[way][-1]} s", file=sys.stderr)
        finally:
            labs.down(name)
    ratio = statistics.median(times["proof"]) / statistics.median(times["by hand"])
    logins = nodes * (nodes - 1)
    found = {
        "nodes": nodes,
        "logins": logins,
        "cpus": os.cpu_count(),
        "proof_s": times["proof"],
        "by_hand_s": times["by hand"],
        "ratio": round(ratio, 3),
        "limit": LIMIT,
    }
    (HERE / "verify_full.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "verify_full.md").write_text(report(found), encoding="utf-8")
    print(json.dumps(found))
    return 0 if ratio <= LIMIT else 1


def report(found: dict[str, object]) -> str:
    return f"""# Proving every pair: cost

Made by `python benchmarks/verify_full.py` on {found["cpus"]} cores: a lab of {found["nodes"]} nodes, \
{found["logins"]} logins.

| who logs in | seconds, each round |
| --- | --- |
| `bootstrap --verify full` | {found["proof_s"]} |
| a loop of `ssh` on every node at once | {found["by_hand_s"]} |

Ratio of the medians: {found["ratio"]}; promised: at most {found["limit"]}.
"""


if __name__ == "__main__":
    sys.exit(main())
