"""Nodes whose RDMA ports lose packets, by what the adapters count."""

from __future__ import annotations

import pytest

from clusterboot.linkmap.port_losses import find_port_losses
from clusterboot.linkmap.progress import LinkState
from clusterboot.programs.collbench.pairs_output import PairRow
from clusterboot.run.counters import Counters

PACKETS = 1_000_000


def port(asked_again: int = 0, out_of_order: int = 0, packets: int = PACKETS) -> Counters:
    figures = {
        "port_xmit_packets": packets,
        "port_rcv_packets": packets,
        "packet_seq_err": asked_again,
        "out_of_sequence": out_of_order,
    }
    return Counters({}, {}, {"mlx5_0/1": figures})


def fleet(**others: Counters) -> dict[str, Counters]:
    return {**{f"n{number}": port() for number in range(1, 9)}, **others}


def told(grown: dict[str, Counters]) -> list[tuple[tuple[str, ...], str]]:
    return [(each.hosts, each.direction) for each in find_port_losses(grown)]


@pytest.mark.parametrize(
    ("sick", "direction"),
    [(port(40_000), "out"), (port(0, 40_000), "in"), (port(30_000, 30_000), "both")],
)
def test_a_node_is_named_with_the_way_that_its_packets_are_lost_on(sick: Counters, direction: str) -> None:
    assert told(fleet(n5=sick)) == [(("n5",), direction)]


def test_who_sends_to_it_is_not_blamed_for_the_part_of_the_loss_that_he_sees() -> None:
    senders = {f"n{number}": port(40_000 // 7) for number in range(1, 9)}
    assert told({**senders, "n5": port(0, 40_000)}) == [(("n5",), "in")]


def test_a_little_loss_and_loss_everywhere_are_nobodys_fault() -> None:
    assert told(fleet(n5=port(1_000, 1_000))) == []
    assert told({f"n{number}": port(20_000 + 500 * number) for number in range(1, 9)}) == []


def test_few_nodes_few_packets_and_no_ports_tell_nothing() -> None:
    assert told({"n1": port(), "n2": port(), "n3": port(40_000)}) == []
    assert told(fleet(n5=port(40, packets=100))) == []
    assert told({f"n{number}": Counters() for number in range(1, 9)}) == []


def test_a_map_with_good_rates_names_the_node_whose_ports_lose_packets() -> None:
    state = LinkState.empty([f"n{number}" for number in range(1, 9)])
    for one in range(8):
        for other in range(8):
            if one != other:
                state.take(PairRow(0, one, other, 1 << 20, 12.0, 5.0, 12.0), range(8))
    state.counters = fleet(n5=port(0, 40_000))
    found = state.inference()
    assert found.verdict == "slow"
    assert [(each.kind, each.hosts, each.direction) for each in found.findings] == [("node", ("n5",), "in")]
    assert "4% of what its ports received came after one that was lost" in found.findings[0].evidence
