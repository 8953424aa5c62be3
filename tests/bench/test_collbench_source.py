from __future__ import annotations

from clusterboot.bench import program


def test_all_sources_travel() -> None:
    names = list(program.sources())
    assert "main.c" in names
    assert "collbench.h" in names
