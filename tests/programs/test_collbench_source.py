from __future__ import annotations

from clusterboot.programs.collbench import source


def test_all_sources_travel() -> None:
    names = list(source.sources())
    assert "main.c" in names
    assert "collbench.h" in names
