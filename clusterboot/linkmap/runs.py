"""One launch of a link map: its rows enter the matrix as they come, and are saved round by round."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from clusterboot.checks.check import require
from clusterboot.checks.ports import PortsOpen
from clusterboot.checks.ready import Ready
from clusterboot.checks.registry import EQUIPPED
from clusterboot.checks.subjects import Planned
from clusterboot.document import document, render
from clusterboot.errors import ExitCode, ValidationError
from clusterboot.hostfiles.slots import Slot
from clusterboot.mpi.launchers import rank_env
from clusterboot.mpi.script_names import new_run_id, run_folder
from clusterboot.programs.collbench.collbench_program import NcclLibraries
from clusterboot.programs.collbench.pairs_options import cost, pairs_argv, schedule_text
from clusterboot.programs.collbench.pairs_output import (
    PairRow,
    PairSamples,
    PairSegments,
    PairsNode,
    RoundEnd,
    read_pairs_line,
)
from clusterboot.programs.nccl_tests.headers import count
from clusterboot.run.execution import Launch, execute
from clusterboot.run.launching import run_spec
from clusterboot.run.runend import RunEnd
from clusterboot.run.runlog import LineLog
from clusterboot.run.supervise import STDIN
from clusterboot.session.context import Context
from clusterboot.session.results import save
from clusterboot.session.visit import Visit
from clusterboot.trust.prove import prove
from clusterboot.verdict.placing import short

from .endpoints import By, host_of, launched_on
from .map_ending import map_ending
from .measurement_plan import LinkPlan
from .progress import LinkState

# Below the ports that systems give out by themselves, above those of well-known services.
_FIRST_PORT, _PORTS = 20000, 12000
# A large matrix is a large document: saving it may take this share of the time.
_SAVING_SHARE = 0.1
_TOLD_ROUNDS = 20
# Beyond the estimate, for nodes that are slow to start, and for dead pairs, which wait.
_LATE_S = 60
_LATE_FACTOR = 3
# In silences after which a pair is dead: how much longer a dead pair takes over NCCL.
_NCCL_PATIENCE = 8


@dataclass(frozen=True)
class LinkRun:
    """What all launches of one map share.

    ``program`` is the benchmark's path, from a home directory; ``by`` says what is mapped,
    ``libraries`` are NCCL's where it measures over NCCL.
    """

    context: Context
    visit: Visit
    ready: Ready
    state: LinkState
    program: str
    folder: Path
    by: By = "node"
    libraries: NcclLibraries | None = None

    def launch(self, plan: LinkPlan, slots: Sequence[Slot]) -> tuple[RunEnd, int]:
        """Measure the rounds of a plan, whose places are ``slots`` in their order.

        Returns: how the launch ended, and how many of its rounds did.
        """
        state, run_id = self.state, new_run_id()
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        # Every rank can print a line as rank 0's, and rank 0 alone sees the schedule.
        key = secrets.token_hex(8)
        # Rank 0 sees the run's folder only where it is on the launching machine.
        from_head = self.ready.head is not None
        folder = run_folder(self.visit.cluster.name, run_id)
        schedule = "/dev/stdin" if from_head else f"{folder}/rounds"
        addresses = [slot.ip for slot in slots]
        words = pairs_argv(plan.options, schedule, addresses, port, self.libraries)
        nodes = launched_on(slots)
        on_gpu = self.libraries is not None
        program = (f"./{self.program}", *words)
        spec = run_spec(self.visit, self.ready, nodes, program, gpu=on_gpu, run_id=run_id)
        # Of two connections one goes on while the other makes up for a lost packet: they would show
        # a lossy link as better than it is to whoever has one.
        spec = replace(spec, tcp_links=1)
        timeout_s = int(_LATE_FACTOR * cost(plan.rounds, plan.options).time_s) + _LATE_S
        launch = Launch(
            spec,
            nodes,
            timeout_s + int(plan.options.stuck_s * len(plan.rounds) * (_NCCL_PATIENCE if on_gpu else 1)),
            files={STDIN if from_head else "rounds": schedule_text(plan.rounds, key)},
        )
        state.launches += 1
        follower = _Follower(self, plan, [state.nodes.index(slot.host) for slot in slots], key)
        end = execute(
            self.visit,
            self.ready.start,
            launch,
            LineLog(self.folder / "run.log", follower.take, self.context.scrubber),
        )
        return end, follower.rounds

    def put_out_unfit(self, slots: Sequence[Slot]) -> None:
        """Look, after a launch that broke off, at what its nodes need for one; who lacks it is out.

        Whether they let each other's connections through is asked last: of a link map's nodes some
        pairs may be dead, which is no reason to leave a node out.
        """
        nodes = launched_on(slots)
        spec = run_spec(self.visit, self.ready, nodes, (f"./{self.program}",), gpu=self.libraries is not None)
        planned = Planned(self.ready, programs=spec.program[:1], env=rank_env(spec))
        if require(self.visit, planned, EQUIPPED):
            return
        proof = prove(self.visit, self.ready.machines, self.ready.addresses, "launch", self.ready.start)
        if not proof.failures:
            # Two that do not reach each other are what a map is there to find.
            with suppress(ValidationError):
                require(self.visit, planned, [PortsOpen()])

    def save(self) -> None:
        """Write what is known so far, as a result that an interrupted run leaves behind."""
        save(self.folder, render(self._document(), self.context.scrubber))

    def _document(self) -> Mapping[str, Any]:
        context, inference = self.context, self.state.inference()
        return document(
            "link-map",
            cluster=context.cluster.name,
            started=context.started,
            duration_s=time.time() - context.started_s,
            exit_code=ExitCode.VALIDATION,
            hosts=self.visit.ledger.rows,
            ending=map_ending(self.state.matrix, inference, "interrupted"),
            next_step=f"link-map --resume {self.folder}",
            more={**self.state.to_json(inference), "verdict": "inconclusive"},
        )


class _Follower:
    """The taker of a launch's output lines."""

    def __init__(self, run: LinkRun, plan: LinkPlan, order: Sequence[int], key: str) -> None:
        self._run = run
        self._plan = plan
        self._order = order
        self._key = f"{key} "
        self._impostors: set[int] = set()
        self._rows: list[PairRow] = []
        self._samples: dict[tuple[int, int], list[PairSamples]] = {}
        self._segments: dict[tuple[int, int], list[PairSegments]] = {}
        self._free_at_s = 0.0
        self.rounds = 0

    def take(self, line: str) -> None:
        """Take one line of output; one that is not rank 0's own counts for nothing."""
        if not line.startswith(self._key):
            return
        line = line.removeprefix(self._key)
        if (sharing := count(line, "ranks-on-a-gpu")) is not None:
            self._run.state.ranks_on_a_gpu = sharing
        said = read_pairs_line(line)
        if isinstance(said, PairRow):
            self._rows.append(said)
        elif isinstance(said, PairSamples):
            self._samples.setdefault((said.sender, said.receiver), []).append(said)
        elif isinstance(said, PairSegments):
            self._segments.setdefault((said.sender, said.receiver), []).append(said)
        elif isinstance(said, PairsNode):
            self._meet(said)
        elif isinstance(said, RoundEnd) and said.round == self.rounds:
            self._end_round(said.round)

    def _meet(self, said: PairsNode) -> None:
        """See whether who answers at a place's address is the node that has that place."""
        if said.host is None or said.node >= len(self._order):
            return
        place = self._run.state.nodes[self._order[said.node]]
        called = self._run.ready.facts[host_of(place)].hostname
        if _letters(said.host) != _letters(called):
            self._impostors.add(said.node)
            told = f"{said.host} answered at the address of {place}, whose name is {called}: not measured"
            self._run.state.remarks.append(told)
            self._run.context.events.note(told)

    def _end_round(self, number: int) -> None:
        if number >= len(self._plan.rounds):
            return
        ended = self._plan.rounds[number]
        for row in self._rows:
            at = (row.sender, row.receiver)
            if self._impostors.intersection(at):
                continue
            samples, segments = self._samples.get(at, ()), self._segments.get(at, ())
            self._run.state.take(row, self._order, ended.taking, samples, segments)
        self.rounds += 1
        self._run.state.rounds += ended.taking == "first"
        self._run.state.measurements += len(self._rows) // 2 * (1 if ended.both_only else 3)
        began_s = time.monotonic()
        if began_s >= self._free_at_s:
            self._run.save()
            ended_s = time.monotonic()
            self._free_at_s = ended_s + (ended_s - began_s) / _SAVING_SHARE
        self._tell(number)
        self._rows, self._samples, self._segments = [], {}, {}

    def _tell(self, number: int) -> None:
        count = len(self._plan.rounds)
        if number % max(1, count // _TOLD_ROUNDS) and number + 1 != count:
            return
        rates = [row.both_gb_s if row.busbw_gb_s is None else row.busbw_gb_s for row in self._rows]
        middle = f", median {median(rates):.3g} GB/s" if rates else ""
        pairs, dead = len(rates) // 2, sum(rate == 0 for rate in rates) // 2
        told = f", {dead} dead" if dead else ""
        paired = f"{pairs} pair" if pairs == 1 else f"{pairs} pairs"
        self._run.context.events.note(f"round {number + 1} of {count}: {paired}{middle}{told}")


def _letters(hostname: str) -> str:
    """Give what of a host's own name every program prints alike."""
    return re.sub(r"[^A-Za-z0-9_-]", "", short(hostname))
