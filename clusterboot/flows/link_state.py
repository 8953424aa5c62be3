"""What a link map knows so far: the matrix as it fills, and what is saved of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from clusterboot.bench.pairs import PairRow
from clusterboot.diagnose.matrix.document import matrix_to_json
from clusterboot.diagnose.matrix.infer import infer
from clusterboot.diagnose.matrix.reading import read_matrix
from clusterboot.diagnose.matrix.records import Inference, PairMatrix, Rates
from clusterboot.errors import UsageError

# Alone, pairs may be a little faster than together; more than this tells of something shared.
_SHARED_RATIO = 1.3

Taking = Literal["first", "solo", "again"]


@dataclass
class LinkState:
    """The matrix of a link map at work, and how it came to be.

    ``solo_gbps`` has, for each pair and direction measured alone, the rate among others and alone;
    ``set_aside`` the nodes that could not take part, with the reason; ``remarks`` what else happened.
    """

    nodes: tuple[str, ...]
    bandwidth_gbps: Rates
    latency_us: Rates
    both_gbps: Rates
    rounds: int = 0
    launches: int = 0
    solo_gbps: list[tuple[float, float]] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, nodes: Sequence[str]) -> LinkState:
        """Begin with nothing measured."""
        bandwidth, latency, both = np.full((3, len(nodes), len(nodes)), np.nan)
        return cls(tuple(nodes), bandwidth, latency, both)

    @property
    def matrix(self) -> PairMatrix:
        """The matrix as it is now."""
        return PairMatrix(self.nodes, self.bandwidth_gbps, self.latency_us)

    def take(self, row: PairRow, order: Sequence[int], how: Taking = "first") -> None:
        """Enter a row.

        Parameters: ``order`` has this map's index of each node of the run; ``how`` is ``solo``
        where the pair was measured alone, and had been before among others, and ``again``
        where only the better of two measurements counts.
        """
        if max(row.sender, row.receiver) >= len(order):
            return
        at = (order[row.sender], order[row.receiver])
        before = float(self.bandwidth_gbps[at])
        if how == "solo":
            self.solo_gbps.append((before, row.busbw_gbps))
        if how == "solo" or (how == "again" and before >= row.busbw_gbps):
            return
        self.bandwidth_gbps[at] = row.busbw_gbps
        self.both_gbps[at] = row.both_gbps
        if row.latency_us is not None:
            self.latency_us[at] = row.latency_us

    def inference(self) -> Inference:
        """Infer what is at fault, and say why a node was never measured."""
        found = infer(self.matrix)
        findings = tuple(
            replace(each, evidence=f"{each.evidence}: {self.set_aside[each.hosts[0]]}")
            if each.kind == "node" and each.severity is None and each.hosts[0] in self.set_aside
            else each
            for each in found.findings
        )
        return replace(found, findings=findings, notes=(*found.notes, *self._shared(), *self.remarks))

    def doubtful(self, inference: Inference) -> tuple[tuple[int, int], ...]:
        """List the pairs that are called slow by one measurement alone, the worst first."""
        at = {name: index for index, name in enumerate(self.nodes)}
        return tuple(
            (at[each.hosts[0]], at[each.hosts[1]])
            for each in inference.findings
            if each.kind == "link" and each.severity and not each.next_pairs
        )

    def to_json(self, inference: Inference) -> dict[str, Any]:
        """Give this map's part of the document."""
        both = [[None if np.isnan(cell) else cell for cell in row] for row in self.both_gbps.tolist()]
        return {
            **matrix_to_json(self.matrix, inference),
            "both_gbps": both,
            "rounds": self.rounds,
            "launches": self.launches,
        }

    def _shared(self) -> tuple[str, ...]:
        """Tell whether pairs are faster alone: then what is slow is what they share."""
        ratios = [alone / among for among, alone in self.solo_gbps if among > 0 and alone > 0]
        if not ratios:
            return ()
        ratio = float(np.median(ratios))
        if ratio < _SHARED_RATIO:
            return ()
        return (
            f"pairs alone are {ratio:.1f} times as fast as with all others at once: "
            "the fabric between them is shared",
        )


def resume(path: Path, nodes: Sequence[str]) -> LinkState:
    """Begin with what an earlier map of these nodes measured.

    Parameters: an earlier ``result.json``, or its folder; the nodes of this map.
    Errors: :class:`UsageError` for what is no such result, or has none of these nodes.
    """
    file = path / "result.json" if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as problem:
        raise UsageError(
            f"--resume {path}: {problem.strerror}", remedy="give an earlier link map's result.json"
        ) from None
    earlier = read_matrix(data, str(file))
    state = LinkState.empty(nodes)
    was_at = {name: at for at, name in enumerate(earlier.nodes)}
    common = [(at, was_at[name]) for at, name in enumerate(nodes) if name in was_at]
    if not common:
        raise UsageError(f"--resume {path}: it has none of these nodes", remedy="give a map of this cluster")
    here, there = (np.array(side) for side in zip(*common, strict=True))
    state.bandwidth_gbps[np.ix_(here, here)] = earlier.bandwidth_gbps[np.ix_(there, there)]
    if earlier.latency_us is not None:
        state.latency_us[np.ix_(here, here)] = earlier.latency_us[np.ix_(there, there)]
    document = json.loads(data)
    state.rounds, state.launches = (_count(document.get(key)) for key in ("rounds", "launches"))
    both = document.get("both_gbps")
    if isinstance(both, list):
        _take_both(state, both, common)
    return state


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _take_both(state: LinkState, both: list[Any], common: Sequence[tuple[int, int]]) -> None:
    for at, was_at in common:
        for to, was_to in common:
            try:
                value = both[was_at][was_to]
            except (IndexError, KeyError, TypeError):
                continue
            if isinstance(value, int | float):
                state.both_gbps[at, to] = value
