"""What the hardware should give, and how it was reckoned."""

from __future__ import annotations

import pytest

from clusterboot.facts.node import Gpu, GpuFacts, Interface, NodeFacts, RdmaPort
from clusterboot.programs.records import BenchTest, ParsedLog, Placement, Rank, Row, Sweep
from clusterboot.verdict.derived import derive, expected, line_limits
from clusterboot.verdict.hardware import GPU_MODELS, gpu_model
from clusterboot.verdict.verdict import judge

GIB = 1024**3


def node(
    gpu: str | None = "NVIDIA H100 80GB HBM3",
    adapters: tuple[float, ...] = (400.0,) * 8,
    *,
    links: dict[int, tuple[float, ...]] | None = None,
    topology: dict[str, dict[str, str]] | None = None,
    speed_mbit_s: int | None = None,
    kind: str = "physical",
) -> NodeFacts:
    gpus = tuple(Gpu(at, gpu) for at in range(8)) if gpu else ()
    ports = tuple(RdmaPort(f"mlx5_{at}", 1, "InfiniBand", "ACTIVE", rate) for at, rate in enumerate(adapters))
    return NodeFacts(
        *("n", None, "Linux", "6.1", "x86_64", "u", 8, None, 1, 1, 1),
        interfaces=(Interface("eth0", "up", 1500, kind=kind, speed_mbit_s=speed_mbit_s),),
        rdma_ports=ports,
        gpu=GpuFacts("nvidia", gpus=gpus, nvlinks=links or {}, topology=topology or {}),
    )


def nodes(count: int, each: NodeFacts) -> dict[str, NodeFacts]:
    return {f"n{at}": each for at in range(count)}


def test_a_ring_over_nodes_is_as_fast_as_a_nodes_adapters_together() -> None:
    a100 = nodes(4, node("NVIDIA A100-SXM4-80GB", (200.0,) * 8))
    found = derive(a100, "all_reduce", 32)
    assert found.minimum_gb_s == pytest.approx(8 * 25 * 0.85)
    assert "8 NICs \u00d7 25 GB/s, ring over 4 nodes → 200 GB/s" in found.derivation


@pytest.mark.parametrize(
    ("gpu", "published_gb_s"),
    [
        ("NVIDIA H100 80GB HBM3", 370),
        ("NVIDIA A100-SXM4-80GB", 228),
        ("NVIDIA B200", 682),
        ("NVIDIA H200", 367),
    ],
)
def test_a_published_ring_passes_and_one_link_in_eight_lost_does_not_hide(
    gpu: str, published_gb_s: float
) -> None:
    minimum = derive(nodes(1, node(gpu)), "all_reduce", 8).minimum_gb_s
    assert minimum is not None
    assert published_gb_s * 0.8 < minimum < published_gb_s


def test_the_links_that_the_driver_counts_go_before_the_table() -> None:
    some = dict.fromkeys(range(7), (26.5,) * 18) | {7: (26.5,) * 9}
    found = derive(nodes(1, node(links=some)), "all_reduce", 8)
    assert found.minimum_gb_s == pytest.approx(9 * 26.5 * 0.72)
    assert "9 NVLinks a GPU" in found.derivation


def test_gpus_without_nvlink_between_them_are_bound_by_pcie() -> None:
    pairs = {"GPU0": {"GPU1": "NODE"}, "GPU1": {"GPU0": "NODE"}}
    found = derive(nodes(1, node("NVIDIA A100-PCIE-40GB", topology=pairs)), "all_reduce", 8)
    assert "PCIe of A100" in found.derivation


def test_the_slowest_node_counts_and_the_slower_adapters_beside_fast_ones_do_not() -> None:
    mixed = {
        "a": node("NVIDIA A100-SXM4-80GB", (200.0,) * 8 + (100.0,) * 2),
        "b": node("NVIDIA A100-SXM4-80GB", (200.0,) * 7),
    }
    assert "7 NICs \u00d7 25" in derive(mixed, "all_reduce", 16).derivation


def test_alltoall_and_sendrecv_meet_other_bounds_than_rings() -> None:
    four = nodes(4, node())
    alltoall, sendrecv = derive(four, "alltoall", 32), derive(four, "sendrecv", 32)
    assert alltoall.minimum_gb_s == pytest.approx(50 * 31 / 24 * 0.6)
    assert sendrecv.minimum_gb_s == pytest.approx(50 * 0.85)


@pytest.mark.parametrize(
    ("where", "collective"),
    [
        (nodes(1, node("Some GPU of next year")), "all_reduce"),
        (nodes(2, node(None, ())), "all_reduce"),
        (nodes(2, node()), "hypercube"),
        ({}, "all_reduce"),
    ],
)
def test_of_unknown_hardware_nothing_is_expected_and_the_words_say_why(
    where: dict[str, NodeFacts], collective: str
) -> None:
    expectation = expected(where, (collective,), 8)
    assert expectation.min_busbw_gb_s is None
    assert expectation.source == ""
    assert len(expectation.derivation) > len(collective) + 10


def test_host_memory_over_ethernet_is_bound_by_the_interface_if_it_has_a_speed() -> None:
    eth = {"n0": "eth0", "n1": "eth0"}
    known = derive(
        nodes(2, node(None, (), speed_mbit_s=10_000)), "all_reduce", 4, memory="host", interfaces=eth
    )
    assert known.minimum_gb_s == pytest.approx(1.25 * 0.45)
    silent = node(None, ())
    virtual = node(None, (), speed_mbit_s=10_000, kind="veth")
    for each in (silent, virtual):
        found = derive(nodes(2, each), "all_reduce", 4, memory="host", interfaces=eth)
        assert found.minimum_gb_s is None
        assert "not known" in found.derivation


def table(busbw_gb_s: float, size_bytes: int) -> ParsedLog:
    place = Placement(None, busbw_gb_s, busbw_gb_s, 0)
    ranks = tuple(Rank(at, f"n{at // 8}", at % 8, 0, at) for at in range(16))
    row = Row(size_bytes, size_bytes // 4, "float", "sum", -1, place, place)
    sweep = Sweep(size_bytes, size_bytes, 2, by_factor=True)
    return ParsedLog(
        (
            BenchTest(
                "all_reduce",
                layout="2.13",
                ranks=ranks,
                sweep=sweep,
                rows=(row,),
                out_of_bounds=0,
                concluded=True,
            ),
        )
    )


def test_the_verdict_prints_the_reckoning_and_judges_only_messages_that_can_show_it() -> None:
    expectation = expected(nodes(2, node()), ("all_reduce",), 16)
    slow = judge(table(200.0, 8 * GIB), expectation).overall
    good = judge(table(360.0, 8 * GIB), expectation).overall
    small = judge(table(200.0, GIB // 16), expectation).overall
    assert (slow.verdict, good.verdict, small.verdict) == ("slow", "ok", "ok")
    assert "the nodes' hardware" in slow.reason
    assert "ring over 2 nodes" in expectation.derivation
    assert any("shows only from 1 GiB on" in note for note in small.notes)
    assert any(note.startswith("bandwidth not judged: ") for note in small.notes)


def test_every_line_of_the_table_has_a_source_and_finds_its_own_name() -> None:
    assert all(model.source for model in GPU_MODELS)
    names = (
        "Tesla V100-SXM2-32GB",
        "NVIDIA A800-SXM4-80GB",
        "NVIDIA GH200 480GB",
        "NVIDIA H100 PCIe",
        "Tesla T4",
        "NVIDIA L40S",
    )
    rates = [model.nvlink_gb_s for name in names if (model := gpu_model(name)) is not None]
    assert rates == [150, 200, 450, 300, 0, 0]


def test_no_busbw_is_above_what_the_weakest_nodes_adapters_carry_together() -> None:
    fast = node(speed_mbit_s=1000)
    whole = 8 * 50.0 + 0.125
    names = ("all_reduce", "alltoall", "broadcast", "sendrecv", "hypercube")
    limits = line_limits(nodes(2, fast), names, 16)
    assert limits == {
        "all_reduce": 2 * whole,
        "alltoall": pytest.approx(whole / 8 * 15 / 8),
        "broadcast": whole,
        "sendrecv": whole,
    }
    one_weak = nodes(2, fast) | {"weak": node(adapters=(100.0,), speed_mbit_s=8000)}
    assert line_limits(one_weak, ("sendrecv",), 24) == {"sendrecv": 13.5}
    ethernet = nodes(2, node(None, (), speed_mbit_s=10_000))
    assert line_limits(ethernet, ("sendrecv",), 2) == {"sendrecv": 1.25}
    # What is expected of a cluster stays below what its line can carry.
    expectation = expected(nodes(2, fast), names, 16)
    for name, limit in limits.items():
        assert (expectation.minimum_gb_s(name) or 0) < limit


@pytest.mark.parametrize(
    "where",
    [
        nodes(1, node(speed_mbit_s=1000)),
        nodes(2, node(None, ())),
        nodes(2, node(None, (), speed_mbit_s=10_000, kind="veth")),
        nodes(2, node("NVIDIA GB200", (400.0,), speed_mbit_s=1000)),
        {**nodes(2, node(speed_mbit_s=1000)), "silent": node(None, ())},
    ],
)
def test_a_line_that_is_not_known_whole_limits_nothing(where: dict[str, NodeFacts]) -> None:
    assert line_limits(where, ("sendrecv",), 16) == {}
