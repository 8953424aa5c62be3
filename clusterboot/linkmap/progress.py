"""What a link map knows so far: the matrix as it fills, and what is saved of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from clusterboot.programs.collbench.pairs_output import PairRow, PairSamples, PairSegments
from clusterboot.run.counters import Counters
from clusterboot.verdict.counted import told_by_counters

from .doubt import Doubt, all_in_doubt, are_many, find_doubts, with_doubts, without
from .endpoints import host_of
from .formats.json import MatrixJson, MatrixRows, matrix_to_json, rows_to_json
from .inference.infer import infer
from .inference.picture import draw
from .measurement_plan import Known, Taking
from .pair_matrix import Finding, Inference, Pair, PairMatrix, Rates, Segments
from .port_losses import find_port_losses
from .samples import SampleBook

# Alone, pairs may be a little faster than together; more than this tells of something shared.
_SHARED_RATIO = 1.3
# Links alone differ by less; beyond it something else runs on the nodes.
_RESTLESS = 0.09
_ENOUGH_NODES = 8
# So many visits that agree prove that a rate is no accident.
_BELIEVED = 5


@dataclass(frozen=True)
class Crowd:
    """A fabric that all pairs at once share: what a pair gets alone and among all, in 10^9 bytes a second.

    ``pairs_at_once`` is how many were measured side by side once that was known.
    """

    alone_gb_s: float
    together_gb_s: float
    pairs_together: int
    pairs_at_once: int

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.pairs_together} pairs at once get {self.together_gb_s:.3g} GB/s each, a pair alone "
            f"{self.alone_gb_s:.3g} GB/s: the fabric between the nodes is shared, which is no node's and no "
            f"link's fault. Measured again with {self.pairs_at_once} at once"
        )


class LinkStateJson(MatrixJson):
    """A measured matrix, and how it came to be."""

    both_gb_s: MatrixRows
    """What pairs give with both directions at once, 10^9 bytes a second."""
    unsettled: list[list[str]]
    """Sender and receiver of directions whose time was spent before their rate was known well."""
    rounds: int
    launches: int
    measurements: int
    crowd: Crowd | None
    """A fabric that all pairs at once share."""
    counters: Mapping[str, Counters]
    """What the counters of each host grew by."""
    shares_gpus: bool
    """Whether several ranks used one GPU: then nothing but a dead pair can be found."""


@dataclass
class LinkState:
    """The matrix of a link map at work, and how it came to be.

    ``one_way_gb_s`` has what single directions give, ``both_gb_s`` both at once, each what
    ``one_way_samples`` and ``both_samples`` say; ``segments`` what TCP sent for all. ``solo_gb_s`` has, for
    each cell measured alone, both at once, what it gave among others and alone; ``visits`` how often each
    pair was measured among others, ``looked`` how often it was again for a suspicion; ``set_aside`` the
    nodes that could not take part, with the reason; ``remarks`` what else happened; ``counters`` what those
    of each host grew by. With ``ranks_on_a_gpu`` above 1 ranks shared a GPU, and nothing but a dead pair can
    be found. ``line_gb_s`` is what the line of each cell can carry, NaN where that is not known.
    """

    nodes: tuple[str, ...]
    one_way_gb_s: Rates
    latency_us: Rates
    both_gb_s: Rates
    one_way_samples: SampleBook
    both_samples: SampleBook
    segments: Segments
    rounds: int = 0
    launches: int = 0
    measurements: int = 0
    crowd: Crowd | None = None
    solo_gb_s: dict[Pair, tuple[float, float]] = field(default_factory=dict)
    looked: Counter[Pair] = field(default_factory=Counter)
    set_aside: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    counters: dict[str, Counters] = field(default_factory=dict)
    ranks_on_a_gpu: int = 1
    line_gb_s: Rates | None = None
    visits: dict[Pair, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, nodes: Sequence[str]) -> LinkState:
        """Begin with nothing measured."""
        one_way, latency, both = np.full((3, len(nodes), len(nodes)), np.nan)
        books = SampleBook.empty(len(nodes)), SampleBook.empty(len(nodes))
        return cls(tuple(nodes), one_way, latency, both, *books, Segments.nothing(len(nodes)))

    @property
    def matrix(self) -> PairMatrix:
        """The matrix as it is now: of single directions, unless some pairs have both at once only."""
        # Copies: a matrix stays as it is while the state goes on.
        one_way, latency_us = self.one_way_gb_s.copy(), self.latency_us.copy()
        segments = Segments(self.segments.sent.copy(), self.segments.resent.copy())
        if (np.isnan(self.one_way_gb_s) & ~np.isnan(self.both_gb_s)).any():
            both, alone = self.both_samples.snapshot(), self.one_way_samples.snapshot()
            return PairMatrix(self.nodes, self.both_gb_s.copy(), latency_us, one_way, both, segments, alone)
        samples = self.one_way_samples.snapshot()
        return PairMatrix(self.nodes, one_way, latency_us, samples=samples, segments=segments)

    def known(self, at: Sequence[int]) -> Known:
        """Say which pairs of some of the nodes have been measured."""
        one_way, both = (
            ~np.isnan(rates[np.ix_(at, at)]) & ~np.isnan(rates[np.ix_(at, at)].T)
            for rates in (self.one_way_gb_s, self.both_gb_s)
        )
        return Known(one_way, both)

    def lacks(self, places: Sequence[str]) -> bool:
        """Tell whether any pair of these places has not been measured."""
        at = [self.nodes.index(place) for place in places]
        known = self.known(at)
        return not bool((known.one_way | known.both | np.eye(len(at), dtype=bool)).all())

    def take(
        self,
        row: PairRow,
        order: Sequence[int],
        how: Taking = "first",
        samples: Sequence[PairSamples] = (),
        segments: Sequence[PairSegments] = (),
    ) -> None:
        """Enter a row with its samples.

        Parameters: ``order`` has this map's index of each node of the run; ``how`` says why the row was
        measured; ``samples`` and ``segments`` are those of this direction, alone and with both at once.
        """
        if max(row.sender, row.receiver) >= len(order):
            return
        at = (order[row.sender], order[row.receiver])
        if how == "solo":
            self.solo_gb_s[at] = (float(self.both_gb_s[at]), row.both_gb_s)
            return
        if row.sender < row.receiver:
            self.visits[min(at), max(at)] = self.visits.get((min(at), max(at)), 0) + 1
            self.looked[min(at), max(at)] += how == "again"
        for each in segments:
            self.segments.sent[at] += each.sent
            self.segments.resent[at] += each.resent
        both = [sample for sample in samples if sample.both]
        self.both_gb_s[at] = _enter(self.both_samples, at, row.both_gb_s, both)
        if row.busbw_gb_s is not None:
            alone = [sample for sample in samples if not sample.both]
            self.one_way_gb_s[at] = _enter(self.one_way_samples, at, row.busbw_gb_s, alone)
        if row.latency_us is not None:
            self.latency_us[at] = row.latency_us

    @property
    def is_restless(self) -> bool:
        """Whether equal pairs differ by so much that another look at all of them is worth its time.

        Of few nodes the spread is not known well enough to say so.
        """
        return len(self.nodes) >= _ENOUGH_NODES and draw(self.matrix).noise.spread > _RESTLESS

    def inference(self) -> Inference:
        """Infer what is at fault, and say why a node was never measured and what is shared.

        What cannot be is left out, and never ``ok``.
        """
        matrix, doubts = self.matrix, self.doubts()
        if self.ranks_on_a_gpu > 1:
            found = _only_dead(infer(matrix))
        elif are_many(matrix, doubts):
            found = all_in_doubt(infer(matrix), doubts)
        else:
            found = with_doubts(infer(without(matrix, doubts)), self.nodes, doubts)
        found = self._with_port_losses(found)
        findings = tuple(self._with_reason(each) for each in found.findings)
        named = [host_of(place) for each in findings for place in each.hosts if not each.next_pairs]
        notes = [
            *found.notes,
            *([str(self.crowd)] if self.crowd else []),
            *self.remarks,
            *told_by_counters(named, self.counters),
        ]
        return replace(found, findings=findings, notes=tuple(notes))

    def _with_port_losses(self, found: Inference) -> Inference:
        """Name the nodes whose RDMA ports lose packets, unless they are named for what pairs gave."""
        told = {host for each in found.findings if each.kind == "node" for host in each.hosts}
        also = tuple(
            each
            for each in find_port_losses(self.counters)
            if each.hosts[0] in self.nodes and each.hosts[0] not in told
        )
        verdict = "slow" if also else found.verdict
        return replace(found, verdict=verdict, findings=(*found.findings, *also))

    def doubts(self) -> tuple[Doubt, ...]:
        """Give the directions whose rate cannot be; of ranks that share a GPU nothing is known."""
        return () if self.ranks_on_a_gpu > 1 else find_doubts(self.matrix, self.line_gb_s)

    def to_believe(self) -> tuple[Pair, ...]:
        """Choose the pairs to measure again, until a wrong visit is outvoted."""
        doubts = self.doubts()
        if are_many(self.matrix, doubts):
            return ()
        pairs = dict.fromkeys((min(each.ends), max(each.ends)) for each in doubts)
        return tuple(pair for pair in pairs if self.visits.get(pair, 0) < _BELIEVED)

    def see_crowd(self, inference: Inference) -> Crowd | None:
        """Tell whether pairs are much faster alone than among all: then what is slow is what they share.

        Pairs that cross the edge of a slow group tell of that group's uplink, and of nothing else.
        """
        groups = [set(each.hosts) for each in inference.findings if each.kind == "group"]
        pairs = {
            at: both
            for at, both in self.solo_gb_s.items()
            if min(both) > 0
            and not any((self.nodes[at[0]] in group) != (self.nodes[at[1]] in group) for group in groups)
        }
        if not pairs or self.crowd:
            return None
        alone = float(np.median([alone for _, alone in pairs.values()]))
        ratio = float(np.median([alone / among for among, alone in pairs.values()]))
        together = len(self.nodes) // 2
        if ratio < _SHARED_RATIO or together < 2:
            return None
        # Half of what there would just be room for: where it is full, some get more of it than others.
        return Crowd(alone, alone / ratio, together, max(1, int(together / ratio / 2)))

    def forget_crowded(self, crowd: Crowd) -> None:
        """Take out what was measured in a crowd, but for what is dead: it says nothing of single pairs."""
        self.crowd = crowd
        for rates, book in ((self.one_way_gb_s, self.one_way_samples), (self.both_gb_s, self.both_samples)):
            crowded = ~(rates == 0)
            book.forget(crowded)
            rates[crowded] = np.nan
        self.segments.sent[:] = self.segments.resent[:] = 0
        self.latency_us[:] = np.nan
        self.solo_gb_s.clear()
        self.looked.clear()

    def to_json(self, inference: Inference) -> LinkStateJson:
        """Give this map's part of the document."""
        return {
            **matrix_to_json(self.matrix, inference),
            "both_gb_s": rows_to_json(self.both_gb_s),
            "unsettled": self._unsettled(),
            "rounds": self.rounds,
            "launches": self.launches,
            "measurements": self.measurements,
            "crowd": self.crowd,
            "counters": self.counters,
            "shares_gpus": self.ranks_on_a_gpu > 1,
        }

    def _unsettled(self) -> list[list[str]]:
        """Name the directions whose time was spent before the median was known well, in either way."""
        pairs = self.one_way_samples.unsettled | self.both_samples.unsettled
        return [[self.nodes[one], self.nodes[other]] for one, other in sorted(pairs)]

    def _with_reason(self, finding: Finding) -> Finding:
        """Add what is known besides the matrix: why a node is not in it, what a group's pairs share."""
        if (
            finding.kind == "node"
            and finding.fraction_of_expected is None
            and finding.hosts[0] in self.set_aside
        ):
            told = f"{finding.evidence}: {self.set_aside[finding.hosts[0]]}"
            return replace(finding, evidence=told)
        if finding.kind != "group" or finding.where != "across":
            return finding
        ratios = [
            alone / among
            for at, (among, alone) in self.solo_gb_s.items()
            if among > 0 and (self.nodes[at[0]] in finding.hosts) != (self.nodes[at[1]] in finding.hosts)
        ]
        if not ratios or np.median(ratios) < _SHARED_RATIO:
            return finding
        told = f"a pair across alone gives {float(np.median(ratios)):.1f} times as much: they share an uplink"
        return replace(finding, evidence=f"{finding.evidence}; {told}")


def _enter(book: SampleBook, at: Pair, rate_gb_s: float, samples: Sequence[PairSamples]) -> float:
    """Enter a visit's samples, and give the rate of all visits; a dead visit has none."""
    for each in samples:
        book.add(at, each.gb_s, each.bytes, is_settled=each.is_settled)
    if not samples:
        book.add(at, [rate_gb_s], 0)
    return book.close(at)


def _only_dead(found: Inference) -> Inference:
    """Keep of what was inferred what shared GPUs leave true: who was not reached at all."""
    left = tuple(each for each in found.findings if not each.fraction_of_expected)
    dead = any(each.fraction_of_expected == 0 for each in left)
    told = "ranks shared a GPU: no measure of bandwidth, so that only dead pairs are told"
    return Inference("slow" if dead else "inconclusive" if left else "ok", left, (told,))
