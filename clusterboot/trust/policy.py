"""On what terms the nodes trust each other: the mode that is wanted, and the operator's own keys for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from clusterboot import files
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.context import Context
from clusterboot.session.visit import Visit

from . import authority
from .authority import Authority
from .homes.known import Member, NodeKey, Terms
from .homes.tagged_lines import authorities, kinds, principal
from .members import Participants
from .survey import Surveyed

_FILE = "mode"
_MODES = ("per-node", "ca", "shared")
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_NOT_MADE = "ssh-ed25519 (the-key-that-bootstrap-will-make)"


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
    visit: Visit, surveyed: Mapping[str, Surveyed], groups: Sequence[Sequence[str]], asked: KeyMode | None
) -> Choice:
    """Choose the mode.

    Parameters: what was found; the groups of hosts that see one home; ``asked`` is the command
    line's word. Returns: that, else the cluster file's, else the one that the cluster is in,
    else ``shared`` where all nodes have one home, else ``per-node``. The cluster is in what this
    operator put it in, or in what most of its nodes have: what a few say is undone, and decides nothing.
    """
    found = modes_found(visit.cluster.name, surveyed)

    def moved(mode: KeyMode, why: str) -> Choice:
        return Choice(mode, why, tuple(sorted(found - {mode})))

    if asked:
        return moved(asked, "as --keys says") if found - {asked} else Choice(asked)
    named = visit.cluster.options.keys
    if named:
        return moved(named, "as the cluster file says") if found - {named} else Choice(named)
    remembered = recall(visit.state_dir)
    if len(found) > 1:
        return moved(remembered or "per-node", "which a move that was cut off was to")
    if not found:
        one_home = len(groups) == 1 and _machines(surveyed, groups[0]) > 1
        return Choice("shared", "since the nodes have one home") if one_home else Choice("per-node")
    (mode,) = cast("set[KeyMode]", found)
    if mode in (remembered, "per-node") or is_common(mode, visit.cluster.name, surveyed):
        return Choice(mode, "" if mode == "per-node" else "as it was before")
    return moved(remembered or "per-node", f"since most nodes have nothing of {mode}")


def resume(visit: Visit, surveyed: Mapping[str, Surveyed], groups: Sequence[Sequence[str]]) -> KeyMode:
    """Give the mode that the nodes are in; one between two, after a move that was cut off, is finished."""
    found = modes_found(visit.cluster.name, surveyed)
    there = cast("KeyMode", found.pop()) if len(found) == 1 else None
    mode = choose(visit, surveyed, groups, there).mode
    remember(visit.state_dir, mode)
    return mode


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
    """Forget the mode of a cluster that is no more, and remove the operator's keys for it."""
    (state_dir / _FILE).unlink(missing_ok=True)
    authority.forget(state_dir)


def _machines(surveyed: Mapping[str, Surveyed], hosts: Sequence[str]) -> int:
    """Count machines: two names of one machine have one home without sharing it."""
    facts = (surveyed[name].facts for name in hosts)
    return len({(one.machine_id, one.hostname) for one in facts})


def modes_found(cluster: str, surveyed: Mapping[str, Surveyed]) -> set[str]:
    """Tell which modes the nodes have lines of."""
    return {kind for answer in surveyed.values() for kind in _kinds(cluster, answer, surveyed)}


def is_common(mode: KeyMode, cluster: str, surveyed: Mapping[str, Surveyed]) -> bool:
    """Tell whether most nodes have lines of a mode: one of them alone could say anything."""
    having = sum(mode in _kinds(cluster, answer, surveyed) for answer in surveyed.values())
    return 2 * having > len(surveyed)


def authorities_found(cluster: str, surveyed: Mapping[str, Surveyed]) -> set[str]:
    """Give the public keys of operators' own that nodes trust: a CA's, or a shared one."""
    return {
        key
        for answer in surveyed.values()
        for key in authorities(answer.keys.authorized_keys.content, cluster)
    }


def needs_exchange(
    mode: KeyMode, cluster: str, surveyed: Mapping[str, Surveyed], held: Authority | None
) -> bool:
    """Tell whether any node has lines of another mode than the one that is wanted, or of another's key."""
    if any(_kinds(cluster, answer, surveyed) - {mode} for answer in surveyed.values()):
        return True
    return bool(authorities_found(cluster, surveyed) - {held.public if held else None})


def _kinds(cluster: str, answer: Surveyed, hosts: Collection[str]) -> set[str]:
    return kinds(answer.keys.authorized_keys.content, cluster, hosts)


def adopt(context: Context, chosen: Choice, surveyed: Mapping[str, Surveyed]) -> Authority | None:
    """Get the operator's key for a mode, and write the mode down before the nodes are put in it.

    Returns: ``None`` for a mode without a key. Errors: as :func:`authority.load_authority`.
    """
    trusted = authorities_found(context.cluster.name, surveyed)
    held = authority.load_authority(context, chosen.mode, trusted)
    if held and trusted - {held.public} and not chosen.before:
        context.events.note("the nodes trust another key than this machine's, which takes its place")
    if not context.dry_run:
        remember(context.state_dir, chosen.mode)
    return held


def agree(
    context: Context,
    mode: KeyMode,
    participants: Participants,
    held: Authority | None,
    *,
    successors: bool = False,
) -> Terms:
    """Decide the terms.

    Parameters: ``held`` is what :func:`adopt` or :func:`authority.load_next` gave; ``successors`` means the
    nodes' next keys.
    """
    away = frozenset(
        member.name for member in participants.members if member.name not in participants.surveyed
    )
    terms = _terms(context, mode, participants, held, successors=successors)
    return replace(terms, away=away, openssh_kex=context.cluster.options.kex_algorithms == "openssh")


def _terms(
    context: Context, mode: KeyMode, participants: Participants, held: Authority | None, *, successors: bool
) -> Terms:
    if mode == "per-node":
        return Terms(successors=successors)
    if held is None:
        return Terms(mode, _NOT_MADE, "id_shared" if mode == "shared" else None, successors=successors)
    if mode == "shared":
        private = "(the shared private key)\n" if context.dry_run else held.private_text
        return Terms(mode, held.public, f"id_shared-{held.short}", private, successors=successors)
    return Terms(
        mode,
        held.public,
        successors=successors,
        certificates=_certificates(context, held, participants, successors=successors),
    )


def _certificates(
    context: Context, held: Authority, participants: Participants, *, successors: bool
) -> dict[str, str]:
    """Sign for each home whose certificate is missing, half through its life, or not what it should be."""
    by_name = {member.name: member for member in participants.members}
    signed = {}
    for group in participants.groups:
        found = participants.surveyed[group[0]].keys
        key = found.next_key if successors else found.key
        sources = _sources([by_name[name] for name in group if name in by_name])
        if key is None or _holds(key, held, context, sources):
            continue
        signed[group[0]] = authority.user_certificate(
            held,
            context.cluster.name,
            group[0],
            key.public_key,
            sources,
            now_s=context.started_s,
            hours=context.cluster.options.certificate_hours,
        )
    return signed


def _sources(members: Sequence[Member]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(ip for member in members for ip in member.sources), *_LOOPBACK)))


def _holds(key: NodeKey, held: Authority, context: Context, sources: Sequence[str]) -> bool:
    state = authority.read_certificate(key.certificate or "")
    return (
        state is not None
        and (state.public_key, state.signer) == (key.public_key, held.public)
        and state.principals == (principal(context.cluster.name),)
        and state.source_addresses == ",".join(sources)
        and not state.is_due(context.started_s)
    )
