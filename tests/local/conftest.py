from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_cluster import LocalCluster, local_cluster


@pytest.fixture
def make_cluster() -> Iterator[Callable[..., LocalCluster]]:
    """A function that makes a cluster of homes, in memory: the nodes' scripts wait for the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield lambda **options: local_cluster(Path(folder), **options)


@pytest.fixture
def cluster(make_cluster: Callable[..., LocalCluster]) -> LocalCluster:
    """Three nodes with a home each."""
    return make_cluster()
