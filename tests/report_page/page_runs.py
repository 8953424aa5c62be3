"""Results for pages, made as the commands make them."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterboot.document import document, render
from clusterboot.errors import ExitCode, HostResult
from clusterboot.headline import Ending
from clusterboot.linkmap.formats.json import matrix_to_json
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.map_ending import map_ending
from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.programs.records import BenchTest, Placement, Row
from clusterboot.report.factlines import FactLine, OddHosts
from clusterboot.verdict.as_json import bench_test_to_json

STARTED = "2026-01-02T03:04:05Z"


def link_map(nodes: int, *, slow: int | None = None, names: tuple[str, ...] = (), **more: Any) -> str:
    """A link map of 10 GB/s a pair, in which one node may send at a third of that."""
    rng = np.random.default_rng(nodes)
    cells = np.round(10 * rng.normal(1, 0.01, (nodes, nodes)), 4)
    if slow is not None:
        cells[slow] /= 3
    np.fill_diagonal(cells, np.nan)
    matrix = PairMatrix(names or tuple(f"n{at}" for at in range(1, nodes + 1)), cells, 200 / cells)
    found = {**matrix_to_json(matrix, infer(matrix)), "rounds": nodes - 1, "launches": 1, "launch_host": "n1"}
    return _result("link-map", matrix.nodes, {**found, **more})


def nccl_test(peak_gb_s: float, *, nodes: int = 4, **more: Any) -> str:
    """An all_reduce from 64 KiB to 64 MiB that reaches ``peak_gb_s``, where 8 were expected from 4 MiB on."""
    rows = tuple(
        Row(size, size // 4, "float", "sum", -1, *(Placement(9.0, speed, speed, 0),) * 2)
        for size in (65536 * 4**step for step in range(6))
        for speed in (round(peak_gb_s * size / (size + 2_000_000), 3),)
    )
    test = BenchTest("all_reduce", layout="2.13", rows=rows, verdict="ok", concluded=True)
    found = {
        "verdict": "ok",
        "reason": "all rows are there",
        "tests": [bench_test_to_json(test)],
        "expected_from": "the nodes' hardware",
        "expected_derivation": "all_reduce: 1 NIC of 12.5 GB/s, of which 64% is 8 GB/s",
        "expected": [
            {"collective": "all_reduce", "min_busbw_gb_s": 8.0, "holds_from_bytes": 4 << 20, "baseline": []}
        ],
        "node_facts": [
            FactLine("CPUs", "64", (OddHosts("n3", "32"),)),
            FactLine("os", "Debian GNU/Linux 12"),
        ],
    }
    return _result("nccl-test", [f"n{at}" for at in range(1, nodes + 1)], {**found, **more})


def _result(command: str, names: Any, found: dict[str, Any]) -> str:
    hosts = [HostResult(name) for name in names]
    head = {"cluster": "testing", "started": STARTED, "duration_s": 12.5, **found.pop("head", {})}
    verdict, cut_short = found["verdict"], found.pop("cut_short", None)
    code = ExitCode.OK if verdict == "ok" else ExitCode.VALIDATION
    ending = Ending(verdict, found.get("reason", ""), cut_short=cut_short)
    if "nodes" in found:
        matrix = PairMatrix(tuple(found["nodes"]), np.array(found["bandwidth_gb_s"], dtype=float))
        ending = map_ending(matrix, infer(matrix), cut_short)
    return render(document(command, exit_code=code, hosts=hosts, ending=ending, more=found, **head))
