"""Places of a link map: nodes or GPUs, their names, and the hostfile that they come from."""

from __future__ import annotations

import pytest

from clusterboot.hostfiles.slots import Slot
from clusterboot.linkmap.endpoints import host_of, launched_on, places_of

NODES = (Slot("n1", "10.0.0.1", 2), Slot("fd00::2", "fd00::2", 1))


def test_nodes_have_one_place_each_and_gpus_one_for_each_rank() -> None:
    assert places_of(NODES, "node") == (Slot("n1", "10.0.0.1", 1), Slot("fd00::2", "fd00::2", 1))
    by_gpu = places_of(NODES, "gpu")
    assert [place.host for place in by_gpu] == ["n1:gpu0", "n1:gpu1", "fd00::2:gpu0"]
    assert launched_on(by_gpu) == NODES


@pytest.mark.parametrize(
    ("place", "host"),
    [("n3:gpu5", "n3"), ("fd00::2:gpu0", "fd00::2"), ("gpu001", "gpu001"), ("n1:gpux", "n1:gpux")],
)
def test_a_place_tells_its_node(place: str, host: str) -> None:
    assert host_of(place) == host
