from __future__ import annotations

from dataclasses import replace

from clusterboot.facts.node import Gpu, GpuFacts, NodeFacts
from clusterboot.hostfiles.outputs import render_all, render_excluded, slots
from clusterboot.hostfiles.slots import Excluded, Slot
from clusterboot.inventory.cluster import Options
from clusterboot.mpi.launchers import LAUNCHERS

LINES = (Slot("gpu001", "10.1.0.4", 8), Slot("gpu002", "10.1.0.5", 8))
LINES6 = (Slot("gpu001", "fd00:1::4", 8), Slot("gpu002", "10.1.0.5", 4))
CPU_NODE = NodeFacts("n1", None, "", "", "", "", 64, None, None, 1, 1)


def test_each_dialect_is_as_its_mpi_reads_it() -> None:
    colons, slots_equal = "10.1.0.4:8\n10.1.0.5:8\n", "10.1.0.4 slots=8\n10.1.0.5 slots=8\n"
    texts = render_all(LINES)
    assert texts["openmpi"] == slots_equal
    assert texts["mpich"] == texts["intelmpi"] == colons
    assert list(texts) == list(LAUNCHERS)
    assert set(render_all(()).values()) == {""}


def test_a_host_with_an_ipv6_address_stands_under_a_name_that_every_launcher_can_read() -> None:
    texts = render_all(LINES6)
    assert texts["openmpi"] == "gpu001 slots=8\n10.1.0.5 slots=4\n"
    assert texts["mpich"] == texts["intelmpi"] == "gpu001:8\n10.1.0.5:4\n"
    nameless = [Slot("fd00:1::4", "fd00:1::4", 8), Slot("::5", "::5", 1)]
    assert render_all(nameless)["openmpi"] == "fd00-1--4 slots=8\n0--5 slots=1\n"


def test_slots_are_gpus_never_cores() -> None:
    gpus = GpuFacts("nvidia", gpus=tuple(Gpu(index, "H100") for index in range(8)))
    assert slots(replace(CPU_NODE, gpu=gpus), Options()) == 8
    assert slots(CPU_NODE, Options()) == 1
    assert slots(CPU_NODE, Options(slots=4)) == 4
    assert slots(replace(CPU_NODE, gpu=gpus), Options(slots=4)) == 4


def test_excluded_hosts_stand_with_their_reason_one_a_line() -> None:
    text = render_excluded([Excluded("n1", "auth: key refused"), Excluded("n2", "two\n lines\t")])
    assert text == "n1: auth: key refused\nn2: two lines\n"
