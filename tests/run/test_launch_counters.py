"""Counters are read from a shell with nothing but builtins, and only their growth says anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from clusterboot.nodes.script import SectionOutput
from clusterboot.run.counters import Counters, counters, growth, parse_counters


def read(text: str) -> Counters:
    return parse_counters(SectionOutput(text.encode(), 0))


def test_this_machine_is_read_without_a_process(shell: list[str]) -> None:
    body = counters(["lo", "no such '$(touch x)'"]).sections[0].body

    said = subprocess.run(
        shell, input=f"PATH=/nowhere\n{body}", capture_output=True, text=True, check=True
    ).stdout
    found = read(said)

    assert set(found.tcp) == {"sent_segments", "received_segments", "retransmitted_segments"}
    assert set(found.interfaces) == {"lo"}
    assert found.interfaces["lo"]["rx_packets"] <= int(
        Path("/sys/class/net/lo/statistics/rx_packets").read_text()
    )


SAID = """\
Tcp:RtoAlgorithm RtoMin InSegs OutSegs RetransSegs InErrs
Tcp:1 200 500 1000 21 0
/sys/class/net/eth0/carrier_changes:3
/sys/class/net/eth0/statistics/rx_packets:400
/sys/class/net/eth0/statistics/rx_crc_errors:-1
/sys/class/net/eth0/statistics/rx_dropped:many
/sys/class/net/eth0/statistics/multicast:5
/sys/class/net/../statistics/rx_packets:5
/sys/class/infiniband/mlx5_0/ports/1/counters/symbol_error:7
/sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_sequence:99999999999999999999999
/sys/class/infiniband/mlx5_0/ports/1/hw_counters/packet_seq_err:2
"""


def test_figures_are_read_and_what_is_none_is_not() -> None:
    assert read(SAID) == Counters(
        {"sent_segments": 1000, "received_segments": 500, "retransmitted_segments": 21},
        {"eth0": {"carrier_changes": 3, "rx_packets": 400}, "..": {"rx_packets": 5}},
        {"mlx5_0/1": {"symbol_error": 7, "packet_seq_err": 2}},
    )


def test_growth_leaves_out_what_began_anew() -> None:
    before = Counters({"sent_segments": 10}, {"eth0": {"rx_packets": 9, "tx_packets": 1}, "gone": {"a": 1}})
    after = Counters({"sent_segments": 25}, {"eth0": {"rx_packets": 8, "tx_packets": 1, "rx_errors": 2}})

    assert growth(before, after) == Counters({"sent_segments": 15}, {"eth0": {"tx_packets": 0}}, {})


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=80) | st.sampled_from(SAID.splitlines())))
def test_whatever_a_node_says_is_bounded_numbers(lines: list[str]) -> None:
    found = read("\n".join(lines))

    groups = [found.tcp, *found.interfaces.values(), *found.ports.values()]
    assert all(0 <= value < 10**18 for group in groups for value in group.values())
    assert all(name.isprintable() for name in (*found.interfaces, *found.ports))


def test_ports_without_end_are_cut_off() -> None:
    many = "\n".join(f"/sys/class/infiniband/m{n}/ports/1/counters/symbol_error:1" for n in range(1000))

    assert len(read(many).ports) == 64
