"""What a map of pairs came to, in the few words that a headline has."""

from __future__ import annotations

from clusterboot.folding import fold
from clusterboot.headline import CutShort, Ending

from .pair_matrix import Finding, Inference, PairMatrix

_NAMED = 3


def map_ending(matrix: PairMatrix, inference: Inference, cut_short: CutShort | None = None) -> Ending:
    """Give how a map ended: its verdict, what is at fault, how much of it was measured.

    Parameters: ``cut_short`` is what ended the measuring, where that was not its end.
    """
    measured, pairs = matrix.measured
    told = f"{measured} of {pairs} pairs measured"
    # Who was not measured says nothing of who was.
    seen = [each for each in inference.findings if each.fraction_of_expected is not None]
    found = [in_brief(each) for each in seen or inference.findings]
    more = [f"{len(found) - _NAMED} more findings"] if len(found) > _NAMED else []
    if inference.verdict == "ok" and not cut_short:
        told += ", none at fault"
    reason = "" if found else next(iter(inference.notes), "")
    return Ending(inference.verdict, reason, (*found[:_NAMED], *more), told, cut_short)


def in_brief(finding: Finding) -> str:
    """Name what is at fault: ``node n5 at 10% of the expected``, ``link n3 with n10 dead``."""
    if finding.next_pairs:
        hosts = " or ".join(finding.hosts)
    elif finding.kind == "link":
        hosts = {"out": " to ", "in": " from ", "both": " with "}[finding.direction].join(finding.hosts)
    else:
        hosts = fold(finding.hosts)
    what = f"{finding.kind} {finding.where}" if finding.where else finding.kind
    share = finding.fraction_of_expected
    level = "not measured" if share is None else "dead" if share == 0 else f"at {share:.0%} of the expected"
    return f"{what} {hosts} {level}"
