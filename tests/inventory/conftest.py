"""What the tests of the cluster file share: a home of their own, and a file to load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from clusterboot.inventory.cluster import Cluster
from clusterboot.inventory.loader import load
from clusterboot.inventory.problems import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with an empty ``.ssh``."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True)
    return folder


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """An environment that has that home and nothing else."""
    return {"HOME": str(home)}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a cluster file, its indentation taken off."""

    def writer(text: str, name: str = "cluster.yaml") -> Path:
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    return writer


Loader = Callable[..., Cluster]


@pytest.fixture
def load_text(write: Callable[[str], Path], environ: dict[str, str]) -> Loader:
    """Load a cluster file from its text, with the home above."""

    def loader(text: str, *, extra: Mapping[str, str] | None = None, **options: Any) -> Cluster:
        return load(write(text), environ={**environ, **(extra or {})}, **options)

    return loader


@pytest.fixture
def problems_of(load_text: Loader, tmp_path: Path) -> Callable[[str], list[str]]:
    """Load a file that must be refused and give its problems, without the folder in front."""

    def refused(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text)
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return refused
