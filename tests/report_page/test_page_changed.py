"""The sentences that a page of several runs begins with, and its one scale of colours."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from page_runs import link_map, nccl_test

from clusterboot.report.page import page
from clusterboot.report.page.changed import what_changed
from clusterboot.report.page.maps import common_scale
from clusterboot.report.saved import SavedRun, read_runs


def read(text: str) -> SavedRun:
    (run,) = read_runs(text.encode(), "run")
    return run


def mapped(nodes: int, slowed: Sequence[tuple[int | slice, int | slice, float]] = ()) -> SavedRun:
    """A map in which each of ``slowed`` senders and receivers has that share of what it had."""
    document = json.loads(link_map(nodes))
    cells = np.array(document["bandwidth_gb_s"], dtype=float)
    for sender, receiver, share in slowed:
        cells[sender, receiver] *= share
    rows = [[None if np.isnan(cell) else cell for cell in row] for row in cells.tolist()]
    return read(json.dumps({**document, "bandwidth_gb_s": rows}))


ALL = slice(None)


@pytest.mark.parametrize(
    ("nodes", "slowed", "told"),
    [
        (6, [(4, ALL, 0.1), (ALL, 4, 0.1)], "n5 fell to 10%"),
        (
            6,
            [(1, ALL, 0.5), (ALL, 1, 0.5), (4, ALL, 0.5), (ALL, 4, 0.5), (1, 4, 2), (4, 1, 2)],
            "n[2,5] fell to 50%",
        ),
        (6, [(2, 3, 0.4)], "n3 to n4 fell to 40%"),
        (6, [(3, ALL, 2.0), (ALL, 3, 2.0)], "n4 rose to 200%"),
        (6, [(0, at, 0.5) for at in (1, 2, 3, 4)], "1 more pairs fell"),
        (6, [(0, ALL, 0.9)], "as the first run, within a fifth"),
        (3, [(2, ALL, 0.0), (ALL, 2, 0.0)], "n3 fell to 0%"),
    ],
)
def test_what_fell_or_rose_is_named(
    nodes: int, slowed: Sequence[tuple[int | slice, int | slice, float]], told: str
) -> None:
    assert told in what_changed(mapped(nodes), mapped(nodes, slowed))


def test_collectives_and_other_commands_are_told_of() -> None:
    assert what_changed(read(nccl_test(10.0)), read(nccl_test(5.0))) == "all_reduce fell to 50%"
    assert what_changed(read(nccl_test(10.0)), read(nccl_test(10.5))).startswith("as the first run")
    assert "another command's result" in what_changed(read(nccl_test(10.0)), mapped(4))
    assert "fell" not in what_changed(mapped(4), mapped(5))


def test_the_page_begins_with_what_changed_and_has_one_scale() -> None:
    runs = (mapped(6), mapped(6, [(4, ALL, 0.1), (ALL, 4, 0.1)]), mapped(6, [(ALL, ALL, 0.5)]))
    text = page(runs)
    assert (
        text.index("B: n5 fell to 10%")
        < text.index("C: n[1-6] fell to 50%")
        < text.index("A is what the others")
    )
    best = max(common_scale([run])["bandwidth"] for run in runs)
    assert text.count(f'"full":{json.dumps(best)}') + text.count(f'"full": {json.dumps(best)}') == 3
