"""Which hosts of a cluster are meant: by ``--hosts``, ``--exclude``, ``--launch-from``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from clusterboot.errors import UsageError
from clusterboot.printable import listed

from .cluster import Host
from .nodeset import expand
from .problems import RuleError

_WITH_PORT = re.compile(r"\s*\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]:[0-9]{1,5}\s*")


def hosts_called(hosts: Iterable[Host]) -> dict[str, tuple[Host, ...]]:
    """List what hosts may be called by, and who is called so.

    A host's name means that host alone. Any other word means all hosts that have it: the hostname
    of the cluster file, the address that is dialled, either with its port (``hostname:port``,
    ``[fd00::4]:22``), the ``internal_ip``.
    """
    hosts = tuple(hosts)
    called: dict[str, tuple[Host, ...]] = {}
    for host in hosts:
        for word in _words(host):
            called[word] = (*called.get(word, ()), host)
    return called | {host.name: (host,) for host in hosts}


def _words(host: Host) -> dict[str, None]:
    dialled = dict.fromkeys((host.hostname or host.name, host.login.hostname))
    # An IPv6 address with a port behind it would be another address.
    with_port = (f"{f'[{name}]' if ':' in name else name}:{host.login.port}" for name in dialled)
    return dict.fromkeys((*dialled, *with_port, *((host.internal_ip,) if host.internal_ip else ())))


def select(hosts: Sequence[Host], *, wanted: str | None, unwanted: str | None) -> tuple[Host, ...]:
    """Choose part of a cluster.

    Parameters: all its hosts; the folded sets given with ``--hosts`` and ``--exclude``, or ``None``.
    Returns: the hosts that stay, in order. Errors: ``UsageError`` that names what is not in the
    cluster, or says that nothing is left.
    """
    chosen = {host.name for host in hosts} if wanted is None else _known(wanted, hosts, "--hosts")
    if unwanted is not None:
        chosen -= _known(unwanted, hosts, "--exclude")
    if not chosen:
        raise UsageError("no host is left", remedy="widen --hosts or narrow --exclude")
    return tuple(host for host in hosts if host.name in chosen)


def _known(text: str, hosts: Sequence[Host], option: str) -> set[str]:
    try:
        # Brackets around an address with colons, a port behind them, are no range.
        rest = [part for part in text.split(",") if not _WITH_PORT.fullmatch(part)]
        addressed = [part.strip() for part in text.split(",") if _WITH_PORT.fullmatch(part)]
        words = dict.fromkeys((*addressed, *(expand(",".join(rest)) if rest else ())))
    except RuleError as error:
        raise UsageError(f"{option}: {error.cause}", remedy=error.remedy) from None
    called = hosts_called(hosts)
    strange = [word for word in words if word not in called]
    if strange:
        names = [host.name for host in hosts]
        remedy = f"the cluster file has {names[0]} to {names[-1]}" if len(names) > 1 else f"it has {names[0]}"
        raise UsageError(f"{option}: not in the cluster: {listed(strange, 5)}", remedy=remedy)
    return {host.name for word in words for host in called[word]}
