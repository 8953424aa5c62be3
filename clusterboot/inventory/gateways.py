"""The way to each host: which gateways stand before it, and how each of them is logged in to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .cluster import Host, Login
from .logins import Reading, Where, make_login
from .model import Hop, HostEntry, SshBlock
from .name_rules import canonical, parse_hop
from .nodeset import MAX_HOSTS
from .openssh.proxy_command import as_jump
from .openssh.ssh_config import Settings, SshConfig, expand_tokens
from .openssh.ssh_lines import Value
from .problems import RuleError, shown

_FLEET: Where = ("ssh_config",)


class Routes:
    """Makes hosts of a fleet's entries; gateways that many hosts share are worked out once.

    Parameters: what is at hand while the file is read; its ``ssh_config`` block.
    ``named`` has the gateways by the names that the file has for them.
    """

    def __init__(self, context: Reading, fleet: SshBlock) -> None:
        self._context = context
        self._fleet = fleet
        self.named: dict[str, Login] = {}
        self._from_file: dict[Where, tuple[Login, ...]] = {}
        self._from_config: dict[tuple[Value, str], tuple[Login, ...]] = {}

    def host(self, hostname: str, entry: HostEntry, where: Where) -> Host:
        """Make one host, called by its hostname where its entry has no name.

        Parameters: its hostname; its entry in ``hosts``, and where that stands in the file.
        Returns: the host, its gateways in the order in which they are passed.
        """
        context, fleet = self._context, self._fleet
        user = entry.user or fleet.user
        jump = fleet.proxy_jump if entry.proxy_jump is None else entry.proxy_jump
        proxied = None if jump is None else bool(jump)
        settings = context.config.lookup(hostname, user, proxied=proxied)
        identity = context.file(entry.identity_file, (*where, "identity_file"))
        if identity is None:
            identity = context.file(fleet.identity_file, (*_FLEET, "identity_file"))
        login = make_login(context, settings, user=user, port=entry.port or fleet.port, identity=identity)
        via = self._via(entry, where, settings, login)
        return Host(entry.name or hostname, login, via, entry.internal_ip, hostname)

    def _via(self, entry: HostEntry, where: Where, settings: Settings, login: Login) -> tuple[Login, ...]:
        if entry.proxy_jump is not None:
            return self._named(entry.proxy_jump, (*where, "proxy_jump"))
        if self._fleet.proxy_jump is not None:
            return self._named(self._fleet.proxy_jump, (*_FLEET, "proxy_jump"))
        return self._configured(settings, login, ())

    def _named(self, hops: Sequence[Hop], where: Where) -> tuple[Login, ...]:
        """Give the gateways that the file names, after those that ssh_config has before the first."""
        if not hops:
            return ()
        if where not in self._from_file:
            settings = _look_up(self._context.config, hops)
            logins = tuple(
                self._hop(hop, found, (*where, index))
                for index, (hop, found) in enumerate(zip(hops, settings, strict=True))
            )
            self.named.update(zip((hop.hostname for hop in hops), logins, strict=True))
            self._from_file[where] = self._configured(settings[0], logins[0], ()) + logins
        return self._from_file[where]

    def _hop(self, hop: Hop, settings: Settings, where: Where) -> Login:
        context, fleet = self._context, self._fleet
        # The gateway's own key first, then the one ssh_config has for it: the nodes' key is
        # what is inherited where neither says anything, and is never offered beside them.
        identity = context.file(hop.identity_file, (*where, "identity_file"))
        if identity is None and not settings.identity_files:
            identity = context.file(fleet.identity_file, (*_FLEET, "identity_file"))
        user = hop.user or (None if settings.user else fleet.user)
        return make_login(context, settings, user=user, port=hop.port, identity=identity)

    def _configured(self, settings: Settings, login: Login, behind: tuple[str, ...]) -> tuple[Login, ...]:
        """Give the gateways that ssh_config's ``ProxyJump`` has for a machine.

        Parameters: what ssh_config says about it; its login; the machines that this one is
        a gateway for, from which a loop is known.
        """
        proxy = settings.proxy
        if proxy is None or proxy.text.lower() == "none":
            return ()
        text = proxy.text if settings.proxy_is_jump else as_jump(proxy.text)
        if text is None:
            warning = f"{proxy.file}:{proxy.line}: ProxyCommand is not used; write ProxyJump, or proxy_jump"
            if warning not in self._context.warnings:
                self._context.warnings.append(warning)
            return ()
        behind = (*behind, settings.host)
        tokens = {"h": login.hostname, "n": settings.host, "p": str(login.port), "r": login.user}
        try:
            text = expand_tokens(text, tokens)
            hops = _parse_hops(text, behind)
        except RuleError as error:
            keyword = "ProxyJump" if settings.proxy_is_jump else "ProxyCommand"
            self._context.refuse(proxy, RuleError(f"{keyword}: {error.cause}", error.remedy))
            return ()
        key = (proxy, text)
        if key not in self._from_config:
            self._from_config[key] = self._jumps(hops, behind)
        return self._from_config[key]

    def _jumps(self, hops: Sequence[Hop], behind: tuple[str, ...]) -> tuple[Login, ...]:
        logins: list[Login] = []
        for hop, settings in zip(hops, _look_up(self._context.config, hops), strict=True):
            login = make_login(self._context, settings, user=hop.user, port=hop.port, identity=None)
            if not logins:  # ssh gives -J for all but the first, which overrides their own ProxyJump
                logins += self._configured(settings, login, behind)
            logins.append(login)
        return tuple(logins)


def _look_up(config: SshConfig, hops: Sequence[Hop]) -> list[Settings]:
    """Find what ssh_config says of gateways; all but the first are reached through the one before."""
    return [
        config.lookup(hop.hostname, hop.user, proxied=True if at else None) for at, hop in enumerate(hops)
    ]


def _parse_hops(text: str, behind: tuple[str, ...]) -> list[Hop]:
    """Read the value of ``ProxyJump``; a gateway that is behind itself is a :class:`RuleError`."""
    hops = [] if text.lower() == "none" else [Hop(**parse_hop(part)) for part in text.split(",")]
    if any(hop.hostname in behind for hop in hops):
        loop = " -> ".join((*behind, text))
        raise RuleError(f"goes round: {loop}", "keep the gateway out of its own block: Host * !GATEWAY")
    return hops


def make_hosts(context: Reading, fleet: SshBlock, routes: Routes) -> tuple[Host, ...]:
    """Make all hosts of a fleet, folded names expanded, in the file's order.

    Hosts of one hostname with different ports are machines behind a port forwarding; those that
    have no name of their own are called by both: ``gw.example.org-22013``.

    What is there twice is a problem that has both lines: a name, one machine under two
    names (the same address and port behind the same gateways), an internal address.
    """
    entries = [
        (routes.host(hostname, entry, (*_FLEET, "hosts", index)), entry.name is None, index)
        for index, entry in enumerate(fleet.hosts)
        for hostname in entry.hostname
    ]
    ports: dict[str, set[int]] = {}
    for host, _, _ in entries:
        ports.setdefault(canonical(host.hostname), set()).add(host.login.port)
    first: dict[object, tuple[Host, int]] = {}
    hosts: list[Host] = []
    for each, nameless, index in entries:
        line = context.document.line((*_FLEET, "hosts", index))
        forwarded = nameless and len(ports[canonical(each.hostname)]) > 1
        host = replace(each, name=f"{each.hostname}-{each.login.port}") if forwarded else each
        # A name that was made of both is in nobody's file: what is there twice is the machine.
        for key, what in sorted(_marks(host), key=lambda mark: forwarded and mark[0] != _machine(host)):
            earlier, its_line = first.setdefault(key, (host, line))
            if earlier is not host:
                apart = key == host.name.lower() and _machine(earlier) != _machine(host)
                remedy = "give each a name of its own: 'name: …'" if apart else "keep one of them"
                context.problems.add(line, f"{what} is here twice, first in line {its_line}", remedy)
                break
        else:
            hosts.append(host)
    if len(hosts) > MAX_HOSTS:
        line = context.document.line((*_FLEET, "hosts"))
        context.problems.add(line, f"more than {MAX_HOSTS} hosts", "split the file")
    return tuple(hosts)


def _machine(host: Host) -> tuple[object, ...]:
    return host.login.hostname, host.login.port, host.via


def _marks(host: Host) -> Iterator[tuple[object, str]]:
    """Give what a host has for itself alone, with the words for it."""
    yield host.name.lower(), f"host {shown(host.name)}"
    yield _machine(host), f"the machine {host.login.hostname} port {host.login.port}"
    if host.internal_ip is not None:
        yield (host.internal_ip,), f"internal_ip {host.internal_ip}"
