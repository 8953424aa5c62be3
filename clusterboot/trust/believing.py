"""How far the nodes' own words are taken: their addresses, and the names that they have for themselves."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

from clusterboot.errors import ClusterbootError
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles.addresses import choose_addresses
from clusterboot.hostfiles.slots import AddressPlan
from clusterboot.inventory.cluster import Host
from clusterboot.inventory.name_rules import without_colons
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.session.visit import Visit

from . import claims
from . import remembered as members_state
from .claims import Believed

# So many nodes are asked what a name means; none of them is asked about itself.
_ASKED = 3
# A resolver that waits for a dead server takes seconds a name: what is left after so many is not known.
_LOOK_UP_S = 15
_MOST_ADDRESSES = 16
_LONGEST_ANSWER = 1 << 20

# One line a name: the name, then each address that getent(1) gives for it.
_LOOK_UP = """command -v getent >/dev/null || exit 0
cb_end=$(($(date +%s) + {seconds}))
for n in {names}; do
  [ "$(date +%s)" -lt "$cb_end" ] || exit 0
  a=$(getent ahosts "$n" 2>/dev/null | head -n {most} | while read -r ip t _; do
    case $t in STREAM) printf ' %s' "$ip";; esac
  done)
  printf '%s%s\\n' "$n" "$a"
done
"""


def place_hosts(visit: Visit, facts: Mapping[str, NodeFacts]) -> AddressPlan:
    """Choose every good host's address on the interconnect.

    Of several hosts that claim one address, the one that the operator reaches there keeps it: its host
    key answers there. Where none can be reached there, who has it by the cluster file, or had it at
    the last bootstrap, keeps it; else all of them are out, since what is sent there may reach any.
    Errors: as :func:`clusterboot.hostfiles.addresses.choose_addresses`.
    """
    network = visit.cluster.network
    plan = choose_addresses(visit.good, facts, network)
    if not plan.contested:
        return plan
    answering = _reached_there(visit, plan.contested)
    before = {member.address: member.name for member in members_state.load(visit.state_dir)}
    owners = {}
    for ip, names in plan.contested.items():
        named = [name for name in names if _is_named(visit.machine(name), ip)]
        known = answering.get(ip) or named or [name for name in names if before.get(ip) == name]
        if len(known) == 1:
            owners[ip] = known[0]
    return choose_addresses(visit.good, facts, network, owners)


def _is_named(host: Host, ip: str) -> bool:
    """Tell whether the cluster file has this address for a host."""
    return ip in (host.login.hostname, host.internal_ip)


def _reached_there(visit: Visit, contested: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Find out whose host keys answer at each address: those of two names of one machine both do."""
    tries: list[tuple[str, Host]] = []
    for ip, names in contested.items():
        for host in map(visit.machine, names):
            login = replace(host.login, hostname=ip, hostkey_alias=host.login.hostkey_name)
            tries.append((ip, replace(host, name=f"{host.name} at {ip}", login=login)))
    visit.events.note("several hosts claim one address: looking whose host key answers there")
    outcomes = visit.fleet.each([host for _, host in tries], lambda _: True)
    answered: dict[str, list[str]] = {}
    for ip, host in tries:
        if not isinstance(outcomes[host.name], ClusterbootError):
            answered.setdefault(ip, []).append(host.name.removesuffix(f" at {ip}"))
    return answered


def believe(visit: Visit, facts: Mapping[str, NodeFacts], addresses: AddressPlan) -> Believed:
    """Decide what of the good hosts' own words the others are told.

    A host's own name counts where it leads the other nodes to that very host, or is a single label
    that leads nowhere; where every name is the cluster file's, nobody is asked.
    """
    hosts = visit.good
    ip = addresses.ip
    wanted = claims.candidates(visit.cluster, hosts, facts)
    looked_up = _look_up(visit, hosts, wanted)
    before = {member.name: member for member in members_state.load(visit.state_dir)}
    names, sources, notes = {}, {}, {}
    for host in hosts:
        others = [answer for asked, answer in looked_up.items() if asked != host.name]
        granted, told = claims.granted_names(host, wanted[host.name], ip[host.name], others)
        names[host.name] = granted
        sources[host.name] = claims.sources_of(host, facts[host.name], ip[host.name], addresses.network)
        known = before.get(host.name)
        if known is not None:
            right = {*claims.names_by_right(host), without_colons(known.address)}
            told += claims.changes(
                host.name,
                ([name for name in known.names if name not in right], known.sources),
                (granted, sources[host.name]),
            )
        if told:
            notes[host.name] = told
    return Believed(names, sources, notes)


def _look_up(
    visit: Visit, hosts: Sequence[Host], wanted: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Ask a few hosts what names mean. Returns: by host, the addresses of each name that it looked up."""
    claimants = [host for host in hosts if wanted[host.name]]
    if not claimants or len(hosts) < 2:
        return {}
    own = (host.login.hostname for host in claimants)
    words = dict.fromkeys((*own, *(name for host in claimants for name in wanted[host.name])))

    names = " ".join(map(shlex.quote, words))
    text = _LOOK_UP.format(names=names, seconds=_LOOK_UP_S, most=_MOST_ADDRESSES * 3)

    def parse(said: SectionOutput) -> dict[str, tuple[str, ...]]:
        return dict(_parse(said.text[:_LONGEST_ANSWER].splitlines(), words))

    question = Question.of_one(Section("names", text), parse, "facts")
    asked = hosts[: _ASKED + 1]
    outcomes = visit.fleet.each(asked, lambda session: session.ask(question))
    # Who cannot answer this has told no lie, and stays in.
    return {name: found for name, found in outcomes.items() if not isinstance(found, ClusterbootError)}


def _parse(lines: Iterable[str], words: Mapping[str, None]) -> Iterable[tuple[str, tuple[str, ...]]]:
    for line in lines:
        name, *found = line.split()[: _MOST_ADDRESSES + 1] or [""]
        if name in words:
            yield name, tuple(dict.fromkeys(str(ip) for ip in map(_ip, found) if ip is not None))


def _ip(text: str) -> str | None:
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None
