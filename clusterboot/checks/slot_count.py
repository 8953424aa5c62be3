"""Room for as many ranks on each node as on the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from clusterboot.session.visit import UnfitError

from .check import Check
from .subjects import Planned

_REMEDY = "find its missing GPUs (nvidia-smi there), or give --procs-per-node or --exclude"


class SlotsEnough(Check[Planned, None]):
    """Each node has as many slots as most have, of two as the one with more, and a GPU for each rank."""

    def judge(self, subject: Planned, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        counts = Counter(slot.slots for slot in subject.slots)
        ranks = max(counts, key=lambda count: (counts[count], count), default=0)
        found: dict[str, UnfitError] = {}
        for slot in subject.slots:
            has = len(subject.ready.facts[slot.host].gpu.gpus)
            if slot.slots > ranks:
                cause = f"it has {slot.slots} slots, and most nodes have {ranks}"
            elif subject.gpus and has < ranks:
                cause = f"it has {has} GPUs for {ranks} ranks"
            elif slot.slots < ranks:
                cause = f"it has {slot.slots} slots for {ranks} ranks, since it has {has} GPUs"
            else:
                continue
            found[slot.host] = UnfitError("no-slots", cause, stage="launch", remedy=_REMEDY)
        return found
