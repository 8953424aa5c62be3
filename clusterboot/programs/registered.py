"""Every benchmark, one line each, in the order in which they are preferred."""

from __future__ import annotations

from .collbench.collbench_program import CollbenchMpi, CollbenchNccl
from .nccl_tests.nccl_tests_program import NcclTests
from .program import Program

# Those that measure pairs, for a link map.
PAIRS = (CollbenchNccl(), CollbenchMpi())
PROGRAMS: tuple[Program, ...] = (
    NcclTests(),
    *PAIRS,
)
