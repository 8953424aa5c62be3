from __future__ import annotations

import pytest

from clusterboot.bench import program


def test_all_sources_travel_and_headers_are_not_compiled() -> None:
    names = list(program.sources())
    assert "main.c" in names
    assert "collbench.h" in names
    words = program.build_argv("/usr/bin/mpicc", "/tmp/x y/collbench", "/tmp/src")
    assert words[0] == "/usr/bin/mpicc"
    assert words[words.index("-o") + 1] == "/tmp/x y/collbench"
    assert "/tmp/src/main.c" in words
    assert not any(word.endswith(".h") for word in words)


def test_the_digest_changes_with_any_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    before = program.source_digest()
    changed = {**program.sources(), "main.c": program.sources()["main.c"] + b"\n"}
    monkeypatch.setattr(program, "sources", lambda: changed)
    assert program.source_digest() != before
    assert len(before) == 16
