"""Times the inference for 1,024 nodes: prints the slowest in seconds of a processor, and the peak in MiB."""

from __future__ import annotations

import math
import resource
import time
from dataclasses import dataclass

import numpy as np
from methods import Probe
from scenarios import SCENARIOS, STEADY
from simulator import SHAPES, Cluster, Conditions, fabric, simulate

from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.pair_matrix import PairMatrix

_NODES = 1024
_NOISE = 0.03
# Of a tenth of all cables each is a finding of its own: 52,378.
_MANY = "10% bad cables"


@dataclass(frozen=True)
class Speed:
    """The slowest inference in seconds of a processor: of medians alone, with samples, with many findings."""

    slowest_s: float
    with_samples_s: float
    many_findings_s: float
    peak_mib: int


def speed() -> Speed:
    """Infer from a matrix of each steady fault, on the fabrics in turn, and from one with samples."""
    slowest_s = 0.0
    for at, scenario in enumerate(STEADY):
        shape = SHAPES[at % len(SHAPES)]
        generator = np.random.default_rng([11, at])
        sound = fabric(shape, _NODES, generator)
        faults = SCENARIOS[scenario][1](sound, generator)
        slowest_s = max(slowest_s, _taken_s(simulate(sound, faults, generator, noise=_NOISE)))
    peak_mib = math.ceil(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    generator = np.random.default_rng(12)
    sound = fabric("flat", _NODES, generator)
    many = simulate(sound, SCENARIOS[_MANY][1](sound, generator), generator, noise=_NOISE)
    cluster = Cluster(
        sound, SCENARIOS["flapping node, fast"][1](sound, generator), generator, Conditions(_NOISE)
    )
    probe = Probe(cluster, generator)
    probe.tournament()
    return Speed(round(slowest_s, 2), round(_taken_s(probe.matrix()), 2), round(_taken_s(many), 2), peak_mib)


def _taken_s(matrix: PairMatrix) -> float:
    before = time.process_time()
    infer(matrix)
    return time.process_time() - before


if __name__ == "__main__":
    taken = speed()
    print(f"{taken.slowest_s:.2f} {taken.peak_mib}")
