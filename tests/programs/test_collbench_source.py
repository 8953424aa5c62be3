from __future__ import annotations

from clusterboot.programs.collbench.build import sources


def test_all_sources_travel() -> None:
    names = list(sources())
    assert "main.c" in names
    assert "collbench.h" in names
