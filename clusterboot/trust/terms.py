"""On what terms the nodes trust each other: the operator's own keys, and who needs a certificate."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clusterboot import trust
from clusterboot.errors import PartialError, UsageError
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.context import Context

from . import Member, NodeKey, Terms, authority
from .authority import Authority
from .survey import Surveyed

_FILES = {"ca": "ca_key", "shared": "shared_key"}
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_NOT_MADE = "ssh-ed25519 (the-key-that-bootstrap-will-make)"


@dataclass(frozen=True)
class Cast:
    """Who takes part: what was found on the hosts, the members, the hosts of each home."""

    surveyed: Mapping[str, Surveyed]
    members: tuple[Member, ...]
    groups: tuple[tuple[str, ...], ...]


def agree(
    context: Context, mode: KeyMode, cast: Cast, held: Authority | None, *, successors: bool = False
) -> Terms:
    """Decide the terms.

    Parameters: ``held`` is what :func:`hold` or :func:`hold_next` gave; ``successors`` means the
    nodes' next keys.
    """
    away = frozenset(member.name for member in cast.members if member.name not in cast.surveyed)
    terms = _terms(context, mode, cast, held, successors=successors)
    return replace(terms, away=away, openssh_kex=context.cluster.options.kex_algorithms == "openssh")


def _terms(context: Context, mode: KeyMode, cast: Cast, held: Authority | None, *, successors: bool) -> Terms:
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
        certificates=_certificates(context, held, cast, successors=successors),
    )


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


def unlock(context: Context, mode: KeyMode | None) -> None:
    """Read the operator's key for a mode before anything is contacted, and so ask for its passphrase.

    Errors: as for :func:`hold`.
    """
    if mode in _FILES:
        authority.load(context.state_dir / _FILES[mode], context.ask_passphrase)


def hold(context: Context, mode: KeyMode, trusted: Collection[str] = ()) -> Authority | None:
    """Get the operator's key for a mode, making it if there is none yet; ``None`` for a mode without one.

    Parameters: ``trusted`` are the public keys that nodes trust now. Where that is the key that a
    rotation which was cut off had made, it is the one that counts.
    Errors: :class:`clusterboot.errors.UsageError` for a key that cannot be read, or is encrypted
    where nobody can be asked.
    """
    if mode not in _FILES:
        return None
    path = context.state_dir / _FILES[mode]
    held = authority.load(path, context.ask_passphrase)
    following = authority.load(_following(path), context.ask_passphrase)
    if following is not None and following.public in trusted and not (held and held.public in trusted):
        if not context.dry_run:
            settle(context, mode)
        held = following
    if context.dry_run:
        return held
    if held is None:
        return authority.create(path, _new_passphrase(context, path))
    if context.encrypt_keys and held.passphrase is None:
        held = replace(held, passphrase=_new_passphrase(context, path))
        authority.save(path, held)
    return held


def hold_next(context: Context, mode: KeyMode) -> Authority | None:
    """Get the successor of the operator's key for a mode, which is kept beside it until :func:`settle`.

    It is as well encrypted as the one that it follows. Errors: as for :func:`hold`.
    """
    if mode not in _FILES:
        return None
    path = context.state_dir / _FILES[mode]
    following = authority.load(_following(path), context.ask_passphrase)
    if following is not None:
        return following
    held = authority.load(path, context.ask_passphrase)
    return authority.create(_following(path), held.passphrase if held else None)


def _new_passphrase(context: Context, path: Path) -> str | None:
    if not context.encrypt_keys or context.ask_passphrase is None:
        return None
    passphrase = context.ask_passphrase(path)
    if not passphrase:
        raise UsageError(
            "an empty passphrase encrypts nothing", remedy="type one, or leave out --encrypt-keys"
        )
    return passphrase


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
        and state.principals == (trust.principal(context.cluster.name),)
        and state.source_addresses == ",".join(sources)
        and not state.is_due(context.started_s)
    )
