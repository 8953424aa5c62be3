"""Which node logs in to which when an MPI starts a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusterboot.inventory.cluster import MpiKind

_OPENMPI_RADIX = 64
_INTELMPI_WIDTH = 16


@dataclass(frozen=True)
class TreeLogin:
    """One ssh login that a launch makes: who logs in, and where."""

    source: str
    target: str


def launch_logins(
    kind: MpiKind,
    launching_host: str,
    hosts: Sequence[str],
    radix: int | None = None,
    tree_spawn: bool = True,
) -> tuple[TreeLogin, ...]:
    """Tell the logins of an MPI's launch before it makes them.

    Parameters: the MPI; the host where its launcher is started, in the hostfile or not;
    the hostfile's hosts in its order; the launch tree's radix where it is not the MPI's
    default; false where the launcher is told to log in to every node itself.
    Returns: each login once, the launcher's own first.
    Errors: ``ValueError`` for a radix below 2.

    Source: Open MPI's ``orte/mca/routed/radix`` and ``orte/mca/plm/rsh``, PRRTE's
    ``src/rml``, which build the same tree; MPICH's Hydra logs in flat; Intel MPI's tree was
    read off its 2021 releases, whose ``hydra_bstrap_proxy`` is given a ``--tree-width``.
    """
    if radix is not None and radix < 2:
        raise ValueError(f"a launch tree of radix {radix} does not exist")
    pairs: Iterable[tuple[str, str]]
    if not tree_spawn or kind == "mpich":
        pairs = ((launching_host, host) for host in hosts)
    elif kind == "intelmpi":
        pairs = _split(launching_host, hosts, radix or _INTELMPI_WIDTH)
    else:
        others = [host for host in hosts if host != launching_host]
        pairs = _radix_tree([launching_host, *others], radix or _OPENMPI_RADIX)
    # A launcher or daemon starts what is on its own node without a login.
    return tuple(TreeLogin(source, target) for source, target in dict.fromkeys(pairs) if source != target)


def _radix_tree(daemons: Sequence[str], radix: int) -> Iterator[tuple[str, str]]:
    """Give each daemon its parent: the launcher is daemon 0, level d holds radix^d of them."""
    width, first = 1, 0
    for number in range(1, len(daemons)):
        if number == first + width:
            first, width = number, width * radix
        parents = width // radix
        yield daemons[first - parents + (number - first) % parents], daemons[number]


def _split(source: str, hosts: Sequence[str], width: int) -> Iterator[tuple[str, str]]:
    """Deal hosts out in at most ``width`` runs of even length; the head of each starts its rest."""
    share, longer = divmod(len(hosts), width)
    blocks, at = [], 0
    for block in range(min(width, len(hosts))):
        size = share + (block < longer)
        blocks.append(hosts[at : at + size])
        at += size
    for heads in blocks:
        yield source, heads[0]
    for heads in blocks:
        yield from _split(heads[0], heads[1:], width)
