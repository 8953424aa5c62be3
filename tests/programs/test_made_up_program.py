"""The page's made-up program, added as the page says: it is chosen, launched, read and judged as any."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clusterboot.errors import UsageError, ValidationError
from clusterboot.facts.node import Gpu, GpuFacts, NodeFacts
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.program import Allocation, Program
from clusterboot.programs.registered import PROGRAMS
from clusterboot.run.choice import asked, choose
from clusterboot.run.runend import RunEnd
from clusterboot.verdict.verdict import judge

PAGE = Path(__file__).parents[2] / "docs/architecture.md"
NODE = NodeFacts("n1", None, "", "", "", "", 64, None, None, 1, 1)
TWO = Allocation({"n1": NODE, "n2": NODE}, {"n1": 1, "n2": 1})
OPTIONS = BenchOptions(("sendrecv",), begin_bytes=8, end_bytes=32)
RANKS, ROWS = b"rank 0 on n1\nrank 1 on n2\n", (b"%d bytes 1.5 us 0.02 GB/s\n" % size for size in (8, 16, 32))
LOG = RANKS + b"".join(ROWS)


@pytest.fixture
def ring() -> Program:
    found = re.search(r"## A made-up program\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    module: dict[str, Any] = {"__name__": "clusterboot.programs.ringtest"}
    exec(compile(found[1], str(PAGE), "exec"), module)  # noqa: S102  # the page's own example
    program: Program = module["RingTest"]()
    return program


def chosen(wanted: str, programs: tuple[Program, ...], *collectives: str, on: Allocation = TWO) -> str:
    visit: Any = SimpleNamespace(good=[SimpleNamespace(name=name) for name in on.facts])
    return choose(visit, on, asked(wanted, programs, share_gpu=on.share_gpu), collectives)[0].name


def test_it_is_chosen_where_it_is_asked_for_or_comes_first(ring: Program) -> None:
    assert chosen("ringtest", (*PROGRAMS, ring), "sendrecv") == "ringtest"
    assert chosen("auto", (ring, *PROGRAMS), "sendrecv") == "ringtest"
    assert chosen("auto", (ring, *PROGRAMS), "all_reduce") == "mpi"
    with pytest.raises(ValidationError, match="ringtest cannot run: it has no all_reduce"):
        chosen("ringtest", (*PROGRAMS, ring), "all_reduce")


def test_gpus_are_shared_only_by_what_can(ring: Program) -> None:
    gpus = GpuFacts("nvidia", gpus=(Gpu(0, "H100"),))
    shared = replace(TWO, facts={"n1": replace(NODE, gpu=gpus)}, share_gpu=True)
    for wanted in ("ringtest", "mpi", "nccl-tests"):
        with pytest.raises(UsageError, match=f"--share-gpu is for NCCL, not for --backend {wanted}"):
            chosen(wanted, (*PROGRAMS, ring), "sendrecv", on=shared)
    with pytest.raises(ValidationError, match=r"NCCL cannot run: no libnccl\.so\.2 on n1"):
        chosen("auto", (*PROGRAMS, ring), "sendrecv", on=shared)


def test_its_commands_are_told_the_sizes(ring: Program) -> None:
    assert ring.commands(TWO, OPTIONS, None) == (("/opt/ringtest/bin/ringtest", "8", "16", "32"),)


@pytest.mark.parametrize(
    ("log", "verdict", "reason"),
    [
        (LOG + b"done\n", "ok", ""),
        (LOG, "inconclusive", "its last line is missing"),
        (LOG.replace(b"16 b", b"x b") + b"done\n", "inconclusive", "sizes are missing"),
        (LOG.replace(b"rank 1 on n2\n", b"") + b"done\n", "inconclusive", "1 of 2 ranks took part"),
        (b"bash: line 1: orted: command not found\n", "could-not-launch", "orted"),
    ],
)
def test_what_it_prints_is_judged(ring: Program, log: bytes, verdict: str, reason: str) -> None:
    overall = judge(
        ring.parse(log), None, RunEnd("exited", 0), OPTIONS, ranks=2, complete=ring.complete
    ).overall

    assert overall.verdict == verdict, overall
    assert reason in overall.reason
