"""The inference: from a matrix of pairs to findings and a verdict.

In order: the tiers that the fabric is built of, the nodes that are slow with most of their
partners, the sets of nodes that are slow together, and the pairs that remain. Each step
looks only at what the earlier ones do not explain.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..pair_matrix import Cells, Finding, Flags, Inference, MatrixVerdict, PairMatrix
from .ambiguity import proof_of, settle_link, settle_node, settle_unmeasured, unsettled
from .findings import (
    as_swinging,
    cells_of,
    group_finding,
    hidden_finding,
    link_cells,
    link_finding,
    loss_of,
    lossy_link,
    lossy_node,
    node_finding,
    set_finding,
    swinging_link,
    swinging_node,
    unmeasured_finding,
)
from .groups import Unit, find_units, hidden_units
from .links import SlowPair, find_links, too_many
from .losses import Losses, find_losses
from .picture import DEAD, Picture, draw, lacks_reference, only_dead
from .remarks import half_is_slow, heavy_tails, remarks
from .sets import find_sets
from .suspects import Suspects, dead_nodes, explained, find_suspects
from .swings import Swings, both_ways, find_swings, further_visits, is_chance, swinging_links

_KINDS = ("group", "node", "link")
_UNDECIDED = "so many pairs are slow that none can be trusted as a reference"

_NOISE = "nothing is far from the rest, for equal pairs differ by"


def infer(matrix: PairMatrix) -> Inference:
    """Name the nodes, links and groups that are at fault.

    Parameters: the matrix, whole or partial.
    Returns: the verdict and the findings, the worst first. ``ok`` means that nothing that was
    measured is at fault; the notes say what was not measured or cannot be known.
    """
    picture = draw(matrix)
    missing = _unmeasured(picture)
    found = _explain(picture)
    notes = remarks(picture)
    if found is None:
        dead = _explain_dead(picture)
        verdict = _verdict((*dead, *missing))
        verdict = "inconclusive" if verdict == "ok" else verdict
        return Inference(verdict, _ordered((*dead, *missing)), (_UNDECIDED, *notes))
    findings = _ordered((*found[0], *missing))
    notes = (*notes, *found[1])
    verdict = _verdict(findings)
    if verdict == "ok" and picture.noise.is_too_much:
        return Inference("inconclusive", findings, (f"{_NOISE} {picture.noise.spread:.0%}", *notes))
    if verdict == "ok" and lacks_reference(matrix):
        return Inference("inconclusive", findings, notes)
    return Inference(verdict, findings, notes)


def _explain(picture: Picture) -> tuple[tuple[Finding, ...], tuple[str, ...]] | None:
    """Find the faults of a picture, and say what is noise; ``None`` where they are too many to be any."""
    suspects = find_suspects(picture.residuals, picture.noise.node_drop)
    if half_is_slow(picture) or 2 * np.count_nonzero(suspects.any) >= len(picture.matrix.nodes):
        return None
    covered, told, units = _units(picture, suspects)
    losses = find_losses(picture)
    in_group = np.zeros(len(picture.matrix.nodes), dtype=bool)
    for unit in units:
        in_group[list(unit.members)] |= len(unit.members) > 1
    lossy = [node for node in losses.nodes if not in_group[node]]
    # Words and acknowledgements are lost as well, and hold up the other direction.
    covered |= cells_of(picture, lossy, "both")
    swings = find_swings(picture, covered, in_group)
    told = [_swinging_too(picture, swings, finding) for finding in told]
    swinging = _swinging_nodes(picture, swings, told)
    told = [*(finding for finding in told if finding.hosts not in swinging), *swinging.values()]
    told = _lossy_too(picture, losses, lossy, told, slow={unit.members for unit in units})
    for node, direction in swings.nodes.items():
        # Both ways at once the other one waits for what comes and goes.
        covered |= cells_of(picture, [node], "both" if node in swings.now_and_then else direction)
    found = find_links(picture.residuals, covered, picture.noise)
    one_way_losses = {pair for pair, way in losses.links if way == "out"}
    links = tuple(
        both_ways(link, swings, picture, one_way_losses)
        for link in found
        if not is_chance(link, swings, picture)
    )
    slow = np.zeros_like(picture.seen)
    for link in links:
        slow[link.ends] = True
        slow[link.ends[::-1]] |= link.direction == "both"
    if too_many(slow, ~np.isnan(picture.residuals) & ~covered):
        return None
    told += [_swinging_too(picture, swings, finding) for finding in _links(picture, links, suspects)]
    known = frozenset(link.ends for link in links)
    for pair, way in swinging_links(swings, picture, known):
        told.append(swinging_link(picture, swings, pair, way, further_visits(picture, pair)))
        covered[link_cells(pair, way)] = True
    for pair, way in losses.links:
        if not (slow | slow.T | covered | covered.T)[pair]:
            told.append(lossy_link(picture, losses, pair, way))
            covered[link_cells(pair, way)] = True
    blamed = covered | slow | cells_of(picture, list(swings.nodes), "both")
    return tuple(told), heavy_tails(picture, swings, blamed)


def _swinging_too(picture: Picture, swings: Swings, finding: Finding) -> Finding:
    """Say of a slow node, link or group whether its measurements swing as well."""
    if not swings.odd:
        return finding
    at = [picture.matrix.nodes.index(host) for host in finding.hosts]
    cells: Cells = cells_of(picture, at, finding.direction)
    if finding.kind == "link":
        cells = link_cells((at[0], at[1]), finding.direction)
    if not swings.are_in(cells):
        return finding
    open_ = finding.kind == "link" and not finding.next_pairs
    visits = further_visits(picture, (at[0], at[1])) if open_ else ()
    return as_swinging(picture, swings, finding, cells, visits)


def _swinging_nodes(picture: Picture, swings: Swings, told: list[Finding]) -> dict[tuple[str, ...], Finding]:
    """Tell of the nodes that swing; what is told of a node already is widened to the other direction."""
    slow = {finding.hosts: finding for finding in told if finding.kind == "node"}
    found: dict[tuple[str, ...], Finding] = {}
    for node, direction in swings.nodes.items():
        hosts = (picture.matrix.nodes[node],)
        if hosts not in slow:
            found[hosts] = swinging_node(picture, swings, node, direction)
        elif direction != slow[hosts].direction and node in swings.now_and_then:
            found[hosts] = swinging_node(picture, swings, node, "both")
        elif slow[hosts].stability == "steady":
            cells = cells_of(picture, [node], slow[hosts].direction)
            found[hosts] = as_swinging(picture, swings, slow[hosts], cells)
    return found


def _lossy_too(
    picture: Picture, losses: Losses, lossy: list[int], told: list[Finding], *, slow: set[tuple[int, ...]]
) -> list[Finding]:
    """Tell of the nodes that lose packets.

    What is told of such a node already is widened to the directions in which it loses, if it is ``slow``.
    Of one that swings the loss alone tells the direction: a way that waits for the other one swings, too.
    """
    by_host = {finding.hosts: finding for finding in told if finding.kind == "node"}
    for node in lossy:
        found, direction = lossy_node(picture, losses, node), losses.nodes[node]
        before = by_host.get(found.hosts)
        if before is None:
            told = [*told, found]
            continue
        if (node,) in slow and before.direction != direction:
            direction = "both"
        lost = loss_of(picture, losses, cells_of(picture, [node], losses.nodes[node]), losses.nodes[node])
        also = replace(before, direction=direction, evidence=f"{before.evidence}; {lost}", next_pairs=())
        told = [also if each is before else each for each in told]
    return told


def _explain_dead(picture: Picture) -> tuple[Finding, ...]:
    """Find what is dead, where what is slow cannot be known."""
    dead = only_dead(picture)
    if not (dead.residuals == DEAD).any():
        return ()
    suspects = dead_nodes(dead.residuals, DEAD)
    covered, told, _ = _units(dead, suspects)
    return (*told, *_links(dead, find_links(dead.residuals, covered, dead.noise), suspects))


def _units(picture: Picture, suspects: Suspects) -> tuple[Flags, list[Finding], tuple[Unit, ...]]:
    """Tell of the suspect nodes and groups; give the cells that they answer for first."""
    units = find_units(picture.residuals, suspects, picture.noise)
    covered = np.zeros(picture.seen.shape, dtype=bool)
    for unit in units:
        covered |= explained(suspects, np.array(unit.members))
    told = [*_nodes(picture, units, suspects)]
    for unit in units:
        for hidden in hidden_units(unit, picture.residuals, picture.noise):
            told.append(hidden_finding(picture, hidden, unit))
            covered |= cells_of(picture, hidden.members, hidden.direction)
    return covered, told, units


def _nodes(picture: Picture, units: tuple[Unit, ...], suspects: Suspects) -> list[Finding]:
    proof = proof_of(picture, suspects)
    told = []
    for unit in units:
        if len(unit.members) > 1:
            told.append(group_finding(picture, unit))
        else:
            missing = settle_node(unit.members[0], picture, suspects, proof)
            told.append(node_finding(picture, unit, missing))
    return told


def _links(picture: Picture, links: tuple[SlowPair, ...], suspects: Suspects) -> list[Finding]:
    sets = find_sets(links, picture.seen, picture.noise)
    in_sets = {pair for each in sets for pair in each.pairs}
    proof = proof_of(picture, suspects)
    doubtful = unsettled(links, picture.seen)
    told = [set_finding(picture, each) for each in sets]
    for pair in links:
        if pair not in in_sets:
            told.append(link_finding(picture, pair, *settle_link(pair, proof, doubtful)))
    return told


def _unmeasured(picture: Picture) -> list[Finding]:
    alone = np.flatnonzero(~picture.seen.any(axis=1))
    if not alone.size:
        return []
    proof = proof_of(picture, find_suspects(picture.residuals, picture.noise.node_drop))
    return [unmeasured_finding(picture, int(node), settle_unmeasured(int(node), proof)) for node in alone]


def _verdict(findings: tuple[Finding, ...]) -> MatrixVerdict:
    if any(finding.fraction_of_expected is not None for finding in findings):
        return "slow"
    return "inconclusive" if findings else "ok"


def _ordered(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Put the worst first: what is certain before what is not, the wider fault before the narrower."""

    def weight(finding: Finding) -> tuple[bool, bool, int, float, tuple[str, ...]]:
        return (
            finding.fraction_of_expected is None,
            bool(finding.next_pairs),
            _KINDS.index(finding.kind),
            finding.fraction_of_expected or 0.0,
            finding.hosts,
        )

    return tuple(sorted(findings, key=weight))
