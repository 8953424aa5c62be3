"""How long ranks outlive a run whose operator is gone: seconds until no node has a process of it.

In a lab of 3 nodes a run is held in mid-sweep, then its operator presses Ctrl-C, is killed, loses the
connection to the head, or is cut off from it without a word. Run as root with
``python benchmarks/endings.py [ROUNDS]``.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "commands/benchmark")]

from benchmark_bed import Bed, Running  # noqa: E402  # found where the line above says

from clusterboot import lab as labs  # noqa: E402
from operator_fixture import Operator  # noqa: E402

HOLD = 'set -- "$@" --stall 1'


def interrupt(_bed: Bed, run: Running) -> None:
    run.process.send_signal(signal.SIGINT)


def kill(_bed: Bed, run: Running) -> None:
    run.process.kill()


def drop(bed: Bed, _run: Running) -> None:
    """End the head's side of the operator's connection, as a restart of its sshd's sessions does."""
    said = labs.node_exec(bed.lab.name, "head", ["ps", "-u", "ubuntu", "-o", "pid=,args="]).stdout
    sessions = [line.split()[0] for line in said.splitlines() if "sshd" in line]
    labs.node_exec(bed.lab.name, "head", ["kill", "-9", *sessions])


def cut(bed: Bed, _run: Running) -> None:
    subprocess.run(["ip", "link", "set", bed.lab.link, "down"], check=True)


def restore(bed: Bed) -> None:
    subprocess.run(["ip", "link", "set", bed.lab.link, "up"], check=True)


WAYS: dict[str, Callable[[Bed, Running], None]] = {
    "Ctrl-C": interrupt,
    "operator killed (SIGKILL)": kill,
    "connection dropped at the head": drop,
    "operator and head cut apart, without a word": cut,
}


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bed = Bed(labs.up("endings", nodes=3), Operator(Path(folder)))
        try:
            bed.prepare()
            bed.inject(HOLD)
            for name, end in WAYS.items():
                taken = []
                for _ in range(rounds):
                    run = bed.begin()
                    end(bed, run)
                    taken.append(bed.wait_until_clear())
                    restore(bed)
                    run.process.communicate()
                print(f"{name}: {statistics.median(taken):.1f} s, at most {max(taken):.1f} s", flush=True)
        finally:
            labs.down("endings")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
