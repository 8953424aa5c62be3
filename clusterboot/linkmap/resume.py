"""An earlier link map's result, read to go on from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clusterboot.document import parse
from clusterboot.errors import UsageError
from clusterboot.hostfiles.slots import Slot

from .endpoints import host_of
from .formats.cells import rates_of
from .formats.reading import read_matrix
from .inference.schedule import MOST_LOOKS
from .pair_matrix import PairMatrix, Rates
from .progress import Crowd, LinkState


@dataclass(frozen=True)
class Earlier:
    """An earlier map's result; ``matrix`` is the checked part of its document."""

    path: Path
    document: Mapping[str, Any]
    matrix: PairMatrix


def read_earlier(path: Path) -> Earlier:
    """Read an earlier ``result.json``, or a folder's. Errors: :class:`UsageError` for no such result."""
    file = path / "result.json" if path.is_dir() else path
    remedy = "give an earlier link map's result.json"
    try:
        data = file.read_bytes()
        matrix = read_matrix(data, str(file))
        return Earlier(path, parse(data), matrix)
    except OSError as problem:
        raise UsageError(f"--resume {path}: {problem.strerror}", remedy=remedy) from None
    except UsageError:
        raise
    except ValueError as problem:
        raise UsageError(f"--resume {path}: {problem}", remedy=remedy) from None


def begin(earlier: Earlier | None, names: Sequence[str], slots: Sequence[Slot] = ()) -> LinkState:
    """Begin with what an earlier map knows, or with nothing.

    Parameters: its result, if there is one; all nodes; the places that take part, once they are known: a
    node that has none of them is a place itself.
    Errors: :class:`UsageError` where that has none of these nodes.
    """
    places = [
        place
        for name in names
        for place in ([slot.host for slot in slots if host_of(slot.host) == name] or [name])
    ]
    return resume(earlier, places) if earlier else LinkState.empty(places)


def resume(stored: Earlier, nodes: Sequence[str]) -> LinkState:
    """Begin with what an earlier map of these nodes measured.

    Errors: :class:`UsageError` where it has none of these nodes.
    """
    earlier, document = stored.matrix, stored.document
    state = LinkState.empty(nodes)
    was_at = {name: at for at, name in enumerate(earlier.nodes)}
    common = [(at, was_at[name]) for at, name in enumerate(nodes) if name in was_at]
    if not common:
        raise UsageError(
            f"--resume {stored.path}: it has none of these nodes", remedy="give a map of this cluster"
        )
    here, there = (np.array(side) for side in zip(*common, strict=True))

    def take(to: Rates, rates: Rates | None) -> None:
        if rates is not None:
            to[np.ix_(here, here)] = rates[np.ix_(there, there)]

    take(state.one_way_gb_s, earlier.bandwidth_gb_s if earlier.one_way_gb_s is None else earlier.one_way_gb_s)
    take(state.latency_us, earlier.latency_us)
    if earlier.samples is not None:
        book = state.one_way_samples if earlier.one_way_gb_s is None else state.both_samples
        book.take_over(here, there, earlier.samples)
    if earlier.one_way_samples is not None:
        state.one_way_samples.take_over(here, there, earlier.one_way_samples)
    if earlier.segments is not None:
        at, was = np.ix_(here, here), np.ix_(there, there)
        state.segments.sent[at] = earlier.segments.sent[was]
        state.segments.resent[at] = earlier.segments.resent[was]
    if isinstance(both := document.get("both_gb_s"), list):
        take(state.both_gb_s, rates_of(str(stored.path), "both_gb_s", both, earlier.nodes))
    state.rounds, state.launches, state.measurements = (
        int(_number(document.get(key))) for key in ("rounds", "launches", "measurements")
    )
    state.crowd = _crowd(document.get("crowd"))
    known = np.argwhere(~np.isnan(state.both_gb_s) | ~np.isnan(state.one_way_gb_s))
    # What an earlier map found stands.
    state.looked.update({(one, other): MOST_LOOKS for one, other in known.tolist() if one < other})
    return state


def _crowd(value: Any) -> Crowd | None:
    if not isinstance(value, dict):
        return None
    together, at_once = (int(_number(value.get(key))) for key in ("pairs_together", "pairs_at_once"))
    rates = [_number(value.get(key)) for key in ("alone_gb_s", "together_gb_s")]
    return Crowd(rates[0], rates[1], together, at_once) if together and at_once else None


def _number(value: Any) -> float:
    """Give a number of a document, 0 for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
    return value if is_number else 0
