"""The way to each host: which gateways stand before it, and how each of them is logged in to."""

from __future__ import annotations

from collections.abc import Sequence

from clusterboot.config.cluster import Host, Login
from clusterboot.config.folding import MAX_HOSTS
from clusterboot.config.logins import Context, Where, make_login
from clusterboot.config.model import Hop, HostEntry, SshBlock
from clusterboot.config.names import parse_hop
from clusterboot.config.problems import RuleError, shown
from clusterboot.config.ssh_config import Settings, Value, expand_tokens

_FLEET: Where = ("ssh_config",)


class Routes:
    """Makes hosts of a fleet's entries; gateways that many hosts share are worked out once.

    Parameters: what is at hand while the file is read; its ``ssh_config`` block.
    ``named`` has the gateways by the names that the file has for them.
    """

    def __init__(self, context: Context, fleet: SshBlock) -> None:
        self._context = context
        self._fleet = fleet
        self.named: dict[str, Login] = {}
        self._from_file: dict[Where, tuple[Login, ...]] = {}
        self._from_config: dict[tuple[Value, str], tuple[Login, ...]] = {}

    def host(self, name: str, entry: HostEntry, where: Where) -> Host:
        """Make one host.

        Parameters: its name; its entry in ``hosts``, and where that stands in the file.
        Returns: the host, its gateways in the order in which they are passed.
        """
        context, fleet = self._context, self._fleet
        user = entry.user or fleet.user
        settings = context.config.lookup(name, user)
        identity = context.file(entry.identity_file, (*where, "identity_file"))
        if identity is None:
            identity = context.file(fleet.identity_file, (*_FLEET, "identity_file"))
        login = make_login(context, settings, user=user, port=entry.port or fleet.port, identity=identity)
        return Host(name, login, self._via(entry, where, settings, login), entry.internal_ip)

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
            settings = [self._context.config.lookup(hop.hostname, hop.user) for hop in hops]
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
        if not settings.proxy_is_jump:
            warning = f"{proxy.file}:{proxy.line}: ProxyCommand is not used; write ProxyJump, or proxy_jump"
            if warning not in self._context.warnings:
                self._context.warnings.append(warning)
            return ()
        behind = (*behind, settings.host)
        tokens = {"h": login.hostname, "n": settings.host, "p": str(login.port), "r": login.user}
        try:
            text = expand_tokens(proxy.text, tokens)
            hops = _parse_hops(text, behind)
        except RuleError as error:
            self._context.refuse(proxy, RuleError(f"ProxyJump: {error.cause}", error.remedy))
            return ()
        key = (proxy, text)
        if key not in self._from_config:
            self._from_config[key] = self._jumps(hops, behind)
        return self._from_config[key]

    def _jumps(self, hops: Sequence[Hop], behind: tuple[str, ...]) -> tuple[Login, ...]:
        logins: list[Login] = []
        for hop in hops:
            settings = self._context.config.lookup(hop.hostname, hop.user)
            login = make_login(self._context, settings, user=hop.user, port=hop.port, identity=None)
            if not logins:  # ssh gives -J for all but the first, which overrides their own ProxyJump
                logins += self._configured(settings, login, behind)
            logins.append(login)
        return tuple(logins)


def _parse_hops(text: str, behind: tuple[str, ...]) -> list[Hop]:
    """Read the value of ``ProxyJump``; a gateway that is behind itself is a :class:`RuleError`."""
    hops = [] if text.lower() == "none" else [Hop(**parse_hop(part)) for part in text.split(",")]
    if any(hop.hostname in behind for hop in hops):
        loop = " -> ".join((*behind, text))
        raise RuleError(f"goes round: {loop}", "keep the gateway out of its own block: Host * !GATEWAY")
    return hops


def make_hosts(context: Context, fleet: SshBlock, routes: Routes) -> tuple[Host, ...]:
    """Make all hosts of a fleet, folded names expanded, in the file's order.

    What is there twice is a problem that has both lines: a name, one machine under two
    names (the same address and port behind the same gateways), an internal address.
    """
    hosts: list[Host] = []
    first_lines: dict[object, int] = {}

    def is_new(key: object, what: str) -> bool:
        line = context.document.line(where)
        first = first_lines.get(key)
        if first is None:
            first_lines[key] = line
            return True
        context.problems.add(line, f"{what} is here twice, first in line {first}", "keep one of them")
        return False

    for index, entry in enumerate(fleet.hosts):
        where: Where = (*_FLEET, "hosts", index)
        for name in entry.hostname:
            if not is_new(name.lower(), f"host {shown(name)}"):
                continue
            host = routes.host(name, entry, where)
            login = host.login
            if not is_new(
                (login.hostname, login.port, host.via), f"the machine {login.hostname} port {login.port}"
            ):
                continue
            if host.internal_ip is None or is_new((host.internal_ip,), f"internal_ip {host.internal_ip}"):
                hosts.append(host)
    if len(hosts) > MAX_HOSTS:
        line = context.document.line((*_FLEET, "hosts"))
        context.problems.add(line, f"more than {MAX_HOSTS} hosts", "split the file")
    return tuple(hosts)
