"""collbench against the loop that everybody writes: the same figures, to a few percent."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from collbench_runs import build
from patience import HANGS_S

from clusterboot.programs.nccl_tests.parser import parse_log

MPIRUN = [
    *("mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1"),
    *("--mca", "btl", "self,vader", "--mca", "btl_vader_single_copy_mechanism", "none"),
    *("--mca", "plm_rsh_agent", "false", "-n", "2"),
]
ITERATIONS, WARMUP, SERIES = 8, 2, 200
# The sizes of the series differ by so much: all of them are one size, but for a part in a thousand.
STEP_BYTES = 16


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("size_bytes", [4 << 20, 16 << 20])
def test_the_busbw_of_large_sizes_is_that_of_a_plain_loop(
    tmp_path: Path, size_bytes: int, record_property: Callable[[str, object], None]
) -> None:
    """In turns and on the same buffers, so that what else the machine does meets both."""
    collbench, plain = build(tmp_path), tmp_path / "plain.so"
    source = Path(__file__).with_name("plain_allreduce.c")
    subprocess.run(
        ["mpicc", "-std=c11", "-O2", "-shared", "-fPIC", "-o", str(plain), str(source)], check=True
    )
    turns = {
        "LD_PRELOAD": str(plain),
        "PLAIN_ITERATIONS": str(ITERATIONS),
        "PLAIN_WARMUP": str(WARMUP),
        "PLAIN_EVERY": str(WARMUP + ITERATIONS),
    }
    exports = [word for name, value in turns.items() for word in ("-x", f"{name}={value}")]
    end_bytes = size_bytes + (SERIES - 1) * STEP_BYTES
    sizes = ("-b", str(size_bytes), "-e", str(end_bytes), "-i", str(STEP_BYTES))
    counts = ("-n", str(ITERATIONS), "-w", str(WARMUP), "-c", "0")
    argv = [*MPIRUN, *exports, str(collbench), *sizes, *counts]
    log = subprocess.run(argv, capture_output=True, text=True, timeout=HANGS_S, check=True).stdout

    (test,) = parse_log(log).tests
    ours_us = [row.out_of_place.time_us for row in test.rows if row.out_of_place]
    theirs_us = [float(line.split()[-1]) for line in log.splitlines() if line.startswith("# plain")]
    assert len(theirs_us) == len(ours_us) == SERIES
    # busbw of two ranks is size over time: the same share.
    share = median(theirs / ours for theirs, ours in zip(theirs_us, ours_us, strict=True))
    record_property("busbw_share_of_plain", share)
    assert 0.97 <= share <= 1.03
