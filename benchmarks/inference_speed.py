"""Times the inference for full matrices of 1,024 nodes: prints the slowest in s, and the peak in MiB."""

from __future__ import annotations

import math
import resource
import time

import numpy as np
from scenarios import SCENARIOS
from simulator import SHAPES, fabric, simulate

from clusterboot.diagnose.matrix.infer import infer

_NODES = 1024


def speed() -> tuple[float, int]:
    """Infer from one matrix of each fault on each fabric; give the slowest time and the peak memory."""
    slowest_s = 0.0
    for at, (shape, scenario) in enumerate([(shape, name) for shape in SHAPES for name in SCENARIOS]):
        generator = np.random.default_rng([11, at])
        sound = fabric(shape, _NODES, generator)
        matrix = simulate(sound, SCENARIOS[scenario][1](sound, generator), generator, noise=0.03)
        before = time.perf_counter()
        infer(matrix)
        slowest_s = max(slowest_s, time.perf_counter() - before)
    return slowest_s, math.ceil(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    print("{:.2f} {}".format(*speed()))
