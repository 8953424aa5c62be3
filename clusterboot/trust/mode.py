"""The mode that a bootstrap works in: what was asked for, else what is there, else what fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from clusterboot import files
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.context import Context

from .members import is_common, modes_found
from .survey import Surveyed

_FILE = "mode"
_MODES = ("per-node", "ca", "shared")


@dataclass(frozen=True)
class Choice:
    """A mode, in words why, and whether the cluster was in another one before."""

    mode: KeyMode
    why: str = ""
    before: tuple[str, ...] = ()

    @property
    def line(self) -> str | None:
        """What is to be said of it: nothing, where the cluster stays as it was asked to be."""
        if self.before:
            return f"Keys: from {' and '.join(self.before)} to {self.mode}, {self.why}"
        return f"Keys: {self.mode}, {self.why}" if self.why else None


def choose(
    context: Context, surveyed: Mapping[str, Surveyed], groups: Sequence[Sequence[str]], asked: KeyMode | None
) -> Choice:
    """Choose the mode.

    Parameters: what was found; the groups of hosts that see one home; ``asked`` is the command
    line's word. Returns: that, else the cluster file's, else the one that the cluster is in,
    else ``shared`` where all nodes have one home, else ``per-node``. The cluster is in what this
    operator put it in, or in what most of its nodes have: what a few say is undone, and decides nothing.
    """
    found = modes_found(context.cluster.name, surveyed)

    def moved(mode: KeyMode, why: str) -> Choice:
        return Choice(mode, why, tuple(sorted(found - {mode})))

    if asked:
        return moved(asked, "as --keys says") if found - {asked} else Choice(asked)
    named = context.cluster.options.keys
    if named:
        return moved(named, "as the cluster file says") if found - {named} else Choice(named)
    remembered = recall(context.state_dir)
    if len(found) > 1:
        return moved(remembered or "per-node", "which a move that was cut off was to")
    if not found:
        one_home = len(groups) == 1 and _machines(surveyed, groups[0]) > 1
        return Choice("shared", "since the nodes have one home") if one_home else Choice("per-node")
    (mode,) = cast("set[KeyMode]", found)
    if mode in (remembered, "per-node") or is_common(mode, context.cluster.name, surveyed):
        return Choice(mode, "" if mode == "per-node" else "as it was before")
    return moved(remembered or "per-node", f"since most nodes have nothing of {mode}")


def recall(state_dir: Path) -> KeyMode | None:
    """Give the mode that the cluster was last put in from here; ``None`` where that is not known."""
    try:
        word = (state_dir / _FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return cast("KeyMode", word) if word in _MODES else None


def remember(state_dir: Path, mode: KeyMode) -> None:
    """Write down the mode that the cluster is being put in, before it is."""
    if recall(state_dir) == mode:
        return
    files.replace(state_dir / _FILE, f"{mode}\n".encode(), mode=0o600)


def forget(state_dir: Path) -> None:
    """Forget the mode of a cluster that is no more."""
    (state_dir / _FILE).unlink(missing_ok=True)


def _machines(surveyed: Mapping[str, Surveyed], hosts: Sequence[str]) -> int:
    """Count machines: two names of one machine have one home without sharing it."""
    facts = (surveyed[name].facts for name in hosts)
    return len({(one.machine_id, one.hostname) for one in facts})
