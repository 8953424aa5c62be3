"""Whether nodes reach each other's high ports, which MPI and NCCL listen on.

Nobody listens on the port that is tried: a node that gets the packet refuses the connection at once,
one behind a filter that drops it stays silent. ssh is the one client that every node has.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from shlex import quote

from clusterboot.errors import ValidationError
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.printable import listed
from clusterboot.session.visit import UnfitError

from .check import Check
from .subjects import PORTS, Planned

TIMEOUT_S = 5
_LANES = 8
# Up to so many nodes every pair is tried once; beyond, the distances that logarithmic algorithms use.
_ALL_PAIRS_UP_TO = 16

_LINE = re.compile(r"port (?P<target>\S+) ssh: connect to host \S+ port [0-9]+: (?P<said>.+)")
_REFUSED = "Connection refused"
_TWO = 2
_LISTED = 3
_LET_THROUGH = f"let the nodes reach each other's TCP ports {PORTS[0]} to {PORTS[1]}"


@dataclass(frozen=True)
class Blocked:
    """A connection that was neither made nor refused: from whom, to whom, in the system's words."""

    source: str
    target: str
    said: str


class PortsOpen(Check[Planned, tuple[Blocked, ...]]):
    """Each node reaches the others' high ports, and they reach its."""

    title = "ports between nodes"

    def questions(
        self, subject: Planned, hosts: Sequence[str]
    ) -> Mapping[str, Question[tuple[Blocked, ...]]]:
        """Have each of ``hosts`` try some of the others."""
        targets: dict[str, dict[str, str]] = defaultdict(dict)
        for source, target in pairs(hosts, subject.ready.start):
            targets[source][target] = subject.ready.ip[target]
        return {
            source: Question.of_one(
                ports_section(mine, subject.port),
                partial(parse_ports, source=source),
                "launch",
                _timeout_s(len(mine)),
            )
            for source, mine in targets.items()
        }

    def judge(self, subject: Planned, answers: Mapping[str, tuple[Blocked, ...]]) -> Mapping[str, UnfitError]:
        """Name whom two others speak against.

        Errors: :class:`ValidationError` for two nodes that do not reach each other, where nobody else
        says anything against either.
        """
        blamed, left = blame([each for found in answers.values() for each in found])
        if left and not blamed:
            one = left[0]
            cause = f"between {one.source} and {one.target} a connection to port {subject.port}"
            cause += f" is not let through, says {one.source}: {one.said}"
            raise ValidationError(cause, stage="launch", remedy=_LET_THROUGH)
        return {name: _shut(name, found, subject.port) for name, found in blamed.items()}


def _shut(name: str, found: Sequence[Blocked], port: int) -> UnfitError:
    others = [each.source if each.target == name else each.target for each in found]
    cause = f"between it and {listed(others, _LISTED)} a connection to port {port} is not let through:"
    return UnfitError("mpi-launch", f"{cause} {found[0].said}", stage="launch", remedy=_LET_THROUGH)


def pairs(hosts: Sequence[str], start: str) -> tuple[tuple[str, str], ...]:
    """Choose who tries whom: everybody the launching node, and each pair or enough of them.

    Returns: ordered pairs; a filter that drops one direction of a connection ends both.
    """
    count = len(hosts)
    if count <= _ALL_PAIRS_UP_TO:
        chosen = [(one, other) for at, one in enumerate(hosts) for other in hosts[at + 1 :]]
        # Each node tries about as many as the others.
        return tuple(pair if n % 2 else pair[::-1] for n, pair in enumerate(chosen))
    chosen = [(host, start) for host in hosts if host != start]
    distance = 1
    while distance < count:
        chosen += [(host, hosts[(at + distance) % count]) for at, host in enumerate(hosts)]
        distance *= 2
    return tuple(dict.fromkeys(chosen))


def ports_section(targets: Mapping[str, str], port: int) -> Section:
    """Describe how a node tries ``port`` of others, given by name with their addresses."""
    lines = ["LC_ALL=C; export LC_ALL", "try() {"]
    lines += [
        f"  said=$(ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout={TIMEOUT_S} -p {port}"
        ' "$2" true 2>&1 </dev/null | tail -n 1)',
        """  printf 'port %s %s\\n' "$1" "$said" """.rstrip(),
        "}",
    ]
    items = list(targets.items())
    for lane in range(min(_LANES, len(items))):
        mine = [f"try {quote(name)} {quote(address)}" for name, address in items[lane::_LANES]]
        lines.append(f"{{ {'; '.join(mine)}; }} &")
    return Section("ports", "\n".join([*lines, "wait", "exit 0"]))


def _timeout_s(count: int) -> float:
    """Give the seconds that trying so many ports can take."""
    return 20.0 + TIMEOUT_S * -(-count // _LANES)


def parse_ports(output: SectionOutput, source: str) -> tuple[Blocked, ...]:
    """Read what :func:`ports_section` found: those who neither took nor refused the connection."""
    found = (_LINE.fullmatch(line.strip()) for line in output.text.split("\n"))
    return tuple(
        Blocked(source, match["target"], match["said"])
        for match in found
        if match and match["said"] != _REFUSED and match["said"].isprintable()
    )


def blame(blocked: Sequence[Blocked]) -> tuple[dict[str, tuple[Blocked, ...]], tuple[Blocked, ...]]:
    """Choose the nodes that the blocked connections speak against, those with most of them first.

    Returns: by node what speaks against it, of two others at least; and the pairs that are left, where
    one node's word stands against another.
    """
    left = list(blocked)
    found: dict[str, tuple[Blocked, ...]] = {}
    while left:
        counts = Counter(name for each in left for name in (each.target, each.source))
        worst, count = counts.most_common(1)[0]
        if count < _TWO:
            break
        found[worst] = tuple(each for each in left if worst in (each.source, each.target))
        left = [each for each in left if worst not in (each.source, each.target)]
    return found, tuple(left)
