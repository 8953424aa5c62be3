"""What counters say of hosts that are named, in words."""

from __future__ import annotations

import pytest

from clusterboot.run.counters import Counters
from clusterboot.verdict.counted import told_by_counters


def tcp(again: int, sent: int = 100_000) -> Counters:
    return Counters({"sent_segments": sent, "retransmitted_segments": again})


@pytest.mark.parametrize(
    ("own", "others", "words"),
    [
        (
            30,
            [1300, 1100, 1200],
            "n5: the others had to send 1.2% of their TCP segments again, it 0.03%:"
            " what is sent to it is lost",
        ),
        (2100, [10, 0, 20], "n5: it had to send 2.1% of its TCP segments again; the others, 0.01%"),
        (1500, [1000, 1000, 1000], "n5: it had to send 1.5% of its TCP segments again, the others 1%"),
    ],
)
def test_retransmissions_are_seen_at_who_sends(own: int, others: list[int], words: str) -> None:
    grown = {"n5": tcp(own), **{f"n{n}": tcp(again) for n, again in enumerate(others, 1)}}

    assert told_by_counters(["n5"], grown) == (words,)


def test_what_is_usual_is_not_told() -> None:
    assert told_by_counters(["n1", "n9"], {"n1": tcp(50), "n2": tcp(3), "n3": tcp(0, sent=0)}) == ()


def test_errors_of_its_interface_and_its_ports_are_told() -> None:
    ill = Counters(
        {},
        {"eth0": {"carrier_changes": 4, "rx_packets": 1000, "rx_dropped": 20, "rx_crc_errors": 0}},
        {"mlx5_0/1": {"symbol_error": 12, "port_xmit_packets": 10**6, "port_xmit_discards": 10}},
    )

    assert told_by_counters(["n1", "n1"], {"n1": ill, "n2": Counters()}) == (
        "n1: eth0 had 4 changes of carrier",
        "n1: 2% of what eth0 received was dropped",
        "n1: mlx5_0/1 had 12 symbol errors",
    )
