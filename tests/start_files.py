"""Nodes whose start-up files do more than they should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clusterboot import lab as labs


@contextmanager
def start_up(lab: labs.Lab, node: str, text: str) -> Iterator[None]:
    """Put something into the start-up file of a node's account, as whoever has that account can."""
    profile = lab.home(node) / ".bashrc"
    before = profile.read_bytes() if profile.exists() else None
    profile.write_text(f"{text}\n")
    try:
        yield
    finally:
        profile.unlink() if before is None else profile.write_bytes(before)


@contextmanager
def rewriting(lab: labs.Lab, node: str, edits: str) -> Iterator[None]:
    """Have a node's start-up file put all that scripts print there through sed(1)."""
    with start_up(lab, node, f"exec > >(sed -u '{edits}')"):
        yield
