"""On what terms the nodes trust each other: the operator's own keys, and who needs a certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clusterboot import keys
from clusterboot.config.cluster import KeyMode
from clusterboot.errors import PartialError
from clusterboot.flows.context import Context
from clusterboot.flows.survey import Surveyed
from clusterboot.keys import Member, NodeKey, Terms, authority
from clusterboot.keys.authority import Authority

_FILES = {"ca": "ca_key", "shared": "shared_key"}
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_NOT_MADE = "ssh-ed25519 (the-key-that-bootstrap-will-make)"


@dataclass(frozen=True)
class Cast:
    """Who takes part: what was found on the hosts, the members, and the hosts of each home."""

    surveyed: Mapping[str, Surveyed]
    members: tuple[Member, ...]
    groups: tuple[tuple[str, ...], ...]


def agree(
    context: Context, mode: KeyMode, cast: Cast, *, successors: bool = False, renew: bool = False
) -> Terms:
    """Decide the terms, making the operator's key for the mode if there is none yet.

    Parameters: ``successors`` means the nodes' next keys; with ``renew`` the operator's key
    is replaced as well, by one that is kept beside it until :func:`settle`.
    Errors: :class:`clusterboot.errors.UsageError` for a key of the operator's that cannot be read.
    """
    away = frozenset(member.name for member in cast.members if member.name not in cast.surveyed)
    terms = _terms(context, mode, cast, successors=successors, renew=renew)
    return replace(terms, away=away, openssh_kex=context.cluster.options.kex_algorithms == "openssh")


def _terms(context: Context, mode: KeyMode, cast: Cast, *, successors: bool, renew: bool) -> Terms:
    if mode == "per-node":
        return Terms(successors=successors)
    held = _hold(context, mode, renew=renew)
    if held is None:
        return Terms(mode, _NOT_MADE, "id_shared" if mode == "shared" else None, successors=successors)
    if mode == "shared":
        private = "(the shared private key)\n" if context.dry_run else held.private_text
        return Terms(mode, held.public, f"id_shared-{held.short}", private, successors=successors)
    terms = Terms(mode, held.public, successors=successors)
    return replace(terms, certificates=_certificates(context, held, cast, successors=successors))


def settle(context: Context, mode: KeyMode) -> None:
    """Make the operator's new key the one that counts, once no node uses the old one."""
    if mode in _FILES:
        path = context.state_dir / _FILES[mode]
        following = _following(path)
        if following.exists():
            following.replace(path)


def forget(state_dir: Path) -> None:
    """Remove the operator's keys for a cluster that is no more."""
    for name in _FILES.values():
        for path in (state_dir / name, _following(state_dir / name)):
            path.unlink(missing_ok=True)


def with_successors(cast: Cast) -> tuple[Member, ...]:
    """Give the members with the next key of each node that was reached.

    Errors: :class:`PartialError` where a node has none.
    """
    members = []
    for member in cast.members:
        found = cast.surveyed.get(member.name)
        if found is None:
            members.append(member)
        elif found.keys.next_key is None:
            raise PartialError("the node made no new key", host=member.name, stage="keys")
        else:
            members.append(replace(member, public_key=found.keys.next_key.public_key))
    return tuple(members)


def _hold(context: Context, mode: KeyMode, *, renew: bool) -> Authority | None:
    path = context.state_dir / _FILES[mode]
    if renew:
        path = _following(path)
    held = authority.load(path, context.ask_passphrase)
    if held is not None or context.dry_run:
        return held
    passphrase = None
    if context.encrypt_keys and context.ask_passphrase is not None:
        passphrase = context.ask_passphrase(path)
    return authority.create(path, passphrase)


def _following(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _certificates(context: Context, held: Authority, cast: Cast, *, successors: bool) -> dict[str, str]:
    """Sign for each home whose certificate is missing, half through its life, or not what it should be."""
    by_name = {member.name: member for member in cast.members}
    signed = {}
    for group in cast.groups:
        found = cast.surveyed[group[0]].keys
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
        )
    return signed


def _sources(members: Sequence[Member]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(ip for member in members for ip in member.sources), *_LOOPBACK)))


def _holds(key: NodeKey, held: Authority, context: Context, sources: Sequence[str]) -> bool:
    state = authority.read_certificate(key.certificate or "")
    return (
        state is not None
        and (state.public_key, state.signer) == (key.public_key, held.public)
        and state.principals == (keys.principal(context.cluster.name),)
        and state.source_addresses == ",".join(sources)
        and not state.is_due(context.started_s)
    )
