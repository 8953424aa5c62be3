"""What the nodes' counters grew by stands in a link map, and beside a node that it names in words."""

from __future__ import annotations

from itertools import permutations

from clusterboot.linkmap.progress import LinkState
from clusterboot.programs.collbench.pairs_output import PairRow
from clusterboot.run.counters import Counters


def mapped(bad: int | None) -> LinkState:
    state = LinkState.empty([f"n{at}" for at in range(8)])
    for at, to in permutations(range(8), 2):
        rate_gb_s = 1.0 if bad in (at, to) else 10.0
        state.take(PairRow(0, at, to, 1000, rate_gb_s, 2.0, rate_gb_s), range(8))
    state.counters = {
        f"n{at}": Counters(
            {"sent_segments": 1000, "retransmitted_segments": 20 if at == 3 else 0},
            {"eth0": {"rx_crc_errors": at}},
        )
        for at in range(8)
    }
    return state


def test_a_named_node_is_told_with_its_counters_and_no_other() -> None:
    notes = mapped(bad=3).inference().notes

    assert [note for note in notes if note.startswith("n")] == [
        "n3: eth0 had 3 received packets with a wrong checksum",
        "n3: it had to send 2% of its TCP segments again; the others, 0%",
    ]


def test_where_nothing_is_named_counters_stand_in_the_document_alone() -> None:
    state = mapped(bad=None)
    inference = state.inference()

    assert (inference.verdict, inference.findings) == ("ok", ())
    assert not any("TCP" in note or "eth0" in note for note in inference.notes)
    assert state.to_json(inference)["counters"]["n3"].tcp["retransmitted_segments"] == 20
