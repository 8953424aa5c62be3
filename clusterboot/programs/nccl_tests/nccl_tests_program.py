"""nccl-tests, where every node has it: a program for each collective, one launch each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clusterboot.folding import fold

from ..bench_options import BenchOptions, argv
from ..collectives import COLLECTIVES, of_program
from ..completeness import what_is_missing
from ..program import Allocation, Commands, LiveRows, Obstacle, Program
from ..records import BenchTest, ParsedLog, Row
from . import headers
from .parser import parse_log
from .rows import RowReader

# No row and no line that names a test is shorter: output without end must not cost its time in vain.
_SHORTEST_LINE = 20


class NcclTests(Program):
    """nccl-tests and what prints as it does."""

    name = "nccl-tests"
    title = "nccl-tests"
    on_gpu = True

    def available(self, on: Allocation, collectives: Sequence[str]) -> Obstacle | None:
        programs = {COLLECTIVES[name].program for name in collectives}
        lacking = [
            host
            for host, node in on.facts.items()
            if not node.gpu.gpus or not programs <= set(node.software.nccl_tests)
        ]
        if not lacking:
            return None
        return Obstacle(
            f"no GPU or not its programs on {fold(lacking)}",
            "name its folder as clusterboot.nccl.tests_dir, or use --backend nccl or mpi",
        )

    def described(self, on: Allocation) -> str:
        return "nccl-tests, GPU memory"

    def commands(self, on: Allocation, options: BenchOptions, path: str | None) -> Commands:
        """Write a command for each collective, where most nodes have its program."""
        having = [node.software.nccl_tests for node in on.facts.values()]
        counts = [Counter(each[COLLECTIVES[name].program] for each in having) for name in options.collectives]
        return tuple((count.most_common(1)[0][0], *argv(options), "-g", "1") for count in counts)

    def live(self, options: BenchOptions) -> LiveRows:
        reader = RowReader()
        current = options.collectives[0]

        def take(line: str) -> tuple[str, Row] | None:
            nonlocal current
            if len(line) < _SHORTEST_LINE:
                return None
            current = of_program(headers.said(line, "starting") or "") or current
            row = reader.feed_text(line)
            return None if row is None else (current, row)

        return take

    def parse(self, log: bytes) -> ParsedLog:
        return parse_log(log)

    def complete(self, series: BenchTest, options: BenchOptions | None) -> str | None:
        return what_is_missing(series, options)
