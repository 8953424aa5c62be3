"""collbench against the loop that everybody writes: the same figures, to a few percent."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot.bench.parser import parse_log
from clusterboot.bench.program import build_argv, sources

MPIRUN = [
    *("mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1"),
    *("--mca", "btl", "self,vader", "--mca", "btl_vader_single_copy_mechanism", "none"),
    *("--mca", "plm_rsh_agent", "false", "-n", "2"),
]
ITERATIONS, WARMUP, TURNS = 30, 5, 15


def said(*command: str) -> str:
    done = subprocess.run([*MPIRUN, *command], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("size_bytes", [4 << 20, 16 << 20])
def test_the_busbw_of_large_sizes_is_that_of_a_plain_loop(
    tmp_path: Path, size_bytes: int, record_property: Callable[[str, object], None]
) -> None:
    """In turns, so that what else the machine does meets both; of each the best turn counts."""
    for name, content in sources().items():
        (tmp_path / name).write_bytes(content)
    collbench, plain = tmp_path / "collbench", tmp_path / "plain"
    subprocess.run(build_argv("mpicc", str(collbench), str(tmp_path)), check=True)
    source = Path(__file__).with_name("plain_allreduce.c")
    subprocess.run(["mpicc", "-std=c11", "-O2", "-o", str(plain), str(source)], check=True)
    theirs, ours = [], []
    for _ in range(TURNS):
        theirs.append(float(said(str(plain), str(size_bytes), str(ITERATIONS), str(WARMUP))))
        size, turns = str(size_bytes), ("-n", str(ITERATIONS), "-w", str(WARMUP), "-c", "0")
        (test,) = parse_log(said(str(collbench), "-b", size, "-e", size, *turns)).tests
        place = test.rows[0].out_of_place
        assert place is not None
        assert place.time_us is not None
        ours.append(place.time_us)
    # busbw of two ranks is size over time: the same share.
    share = min(theirs) / min(ours)
    record_property("plain_us", min(theirs))
    record_property("collbench_us", min(ours))
    assert 0.97 <= share <= 1.03
