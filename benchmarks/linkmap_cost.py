"""What a link map costs: one launch beside a launch a round, and the inference of a large matrix."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from clusterboot import lab as labs
from clusterboot.linkmap.inference.schedule import adaptive_rounds, rounds
from clusterboot.programs.collbench.pairs_options import PairsOptions, PairsRound, pairs_argv, schedule_text

_PAIR_S = 0.3
_MPIRUN = (
    *("mpirun", "--hostfile", "hosts", "-np", "{ranks}", "--map-by", "node", "--mca", "btl", "tcp,self"),
    *("--mca", "btl_tcp_if_include", "{network}", "--mca", "oob_tcp_if_include", "{network}"),
    *("--mca", "mpi_yield_when_idle", "1", "--oversubscribe"),
)


def launch_cost(lab: labs.Lab) -> dict[str, dict[str, float]]:
    """Time every pair of a lab in one launch, and with one launch a round, on the same lab in one go.

    Both run the same program with the same time a pair, started on the first node by plain
    ``mpirun``; the benchmark was put there by ``link-map`` before. Returns: that for the rounds of
    ``link-map``'s default mode, and for those of a full map.
    """
    quick, others = adaptive_rounds(len(lab.nodes))
    plans = {
        "adaptive": [*map(PairsRound, quick), *(PairsRound(each, both_only=True) for each in others)],
        "full": [PairsRound(each) for each in rounds(len(lab.nodes))],
    }
    return {mode: _both_ways(lab, planned) for mode, planned in plans.items()}


def _both_ways(lab: labs.Lab, planned: list[PairsRound]) -> dict[str, float]:
    addresses = [node.address for node in lab.nodes]
    home = labs.node_home(lab.name, lab.nodes[0].name)
    (program,) = {path.relative_to(home) for path in home.rglob("collbench") if path.is_file()}
    hostfile = "".join(f"{address} slots=1\n" for address in addresses)
    words = [word.format(ranks=len(addresses), network=lab.network) for word in _MPIRUN]
    options = PairsOptions(pair_s=_PAIR_S)
    before = time.monotonic()
    _run(lab, hostfile, planned, [*words, str(program), *pairs_argv(options, "rounds", addresses, 23171)])
    one_s = time.monotonic() - before
    before = time.monotonic()
    for number, each in enumerate(planned):
        argv = [*words, str(program), *pairs_argv(options, "rounds", addresses, 23200 + number)]
        _run(lab, hostfile, [each], argv)
    each_s = time.monotonic() - before
    return {
        "rounds": len(planned),
        "pair_s": _PAIR_S,
        "one_launch_s": round(one_s, 1),
        "launch_a_round_s": round(each_s, 1),
    }


def _run(lab: labs.Lab, hostfile: str, planned: list[PairsRound], argv: list[str]) -> None:
    first = lab.nodes[0].name
    for name, text in (("hosts", hostfile), ("rounds", schedule_text(planned))):
        labs.node_exec(lab.name, first, ["tee", name], "ubuntu", text=text)
    done = labs.node_exec(lab.name, first, argv, "ubuntu")
    if done.returncode or "concluded" not in done.stdout:
        raise SystemExit(f"mpirun failed:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")


def inference_cost() -> dict[str, float]:
    """Time the inference for full matrices of 1,024 nodes in a process of its own, the slowest of several."""
    program = Path(__file__).with_name("inference_speed.py")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    slowest_s, peak_mib = done.stdout.split()
    return {"slowest_s": float(slowest_s), "peak_mib": float(peak_mib)}
