"""What a node's kernel and adapters have counted of what was sent, lost and sent again.

The figures are totals since the node started, so that they say something only as what they grew by
between two looks. TCP's are the node's as a whole: nobody counts them by peer. What is lost on the way into
a node is sent again, and counted, by those who send to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from clusterboot.checks.ready import Ready
from clusterboot.facts.text import PRELUDE, clean, integer, pairs
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.session.visit import Visit

from .clearing import clear_orphans
from .runend import RunEnd

# They are worth no longer wait: what a run measured stands without them.
_ANSWER_S = 15.0
# Source: the kernel's ABI/testing/sysfs-class-net and -net-statistics.
_INTERFACE = (
    "carrier_changes",
    *(
        f"statistics/{way}_{what}"
        for way in ("rx", "tx")
        for what in ("packets", "bytes", "errors", "dropped")
    ),
    "statistics/rx_crc_errors",
    "statistics/rx_missed_errors",
    "statistics/tx_carrier_errors",
)
# Source: the kernel's ABI/stable/sysfs-class-infiniband; hw_counters as mlx5 and others have them.
_PORT = (
    *(
        f"counters/{name}"
        for name in (
            *("port_xmit_packets", "port_rcv_packets", "port_xmit_discards", "port_xmit_wait"),
            *("port_rcv_errors", "port_rcv_remote_physical_errors", "local_link_integrity_errors"),
            *("excessive_buffer_overrun_errors", "symbol_error", "link_error_recovery", "link_downed"),
        )
    ),
    *(
        f"hw_counters/{name}"
        for name in (
            *("out_of_sequence", "packet_seq_err", "local_ack_timeout_err", "rnr_nak_retry_err"),
            *("rx_icrc_encapsulated", "out_of_buffer", "roce_adp_retrans", "np_cnp_sent", "rp_cnp_handled"),
        )
    ),
)
# Of TCP's lines: its name there, and here. Source: RFC 4022, tcpOutSegs and tcpRetransSegs; Linux
# counts in the former what is sent again, too.
_TCP = {"OutSegs": "sent_segments", "InSegs": "received_segments", "RetransSegs": "retransmitted_segments"}
_INTERFACE_PATH = re.compile(r"/sys/class/net/([^/]+)/(.+)")
_PORT_PATH = re.compile(r"/sys/class/infiniband/([^/]+)/ports/([0-9]{1,3})/(.+)")
# More than any node has; a node that says more is not believed.
_MOST_PORTS = 64


@dataclass(frozen=True)
class Counters:
    """Figures by name: of TCP, of each interface by its name, of each RDMA port as ``mlx5_0/1``."""

    tcp: Mapping[str, int] = field(default_factory=dict)
    interfaces: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ports: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def counters(interfaces: Sequence[str]) -> Question[Counters]:
    """Ask a node for its counters, with no process but the shell.

    Parameters: the names of the interfaces that count.
    """
    interface, port = (" ".join(f'"$d/{path}"' for path in paths) for paths in (_INTERFACE, _PORT))
    body = [
        PRELUDE,
        "while read -r k v; do case $k in Tcp:) printf 'Tcp:%s\\n' \"$v\";; esac; done </proc/net/snmp",
        *(f"d=/sys/class/net/{quote(name)}; show {interface}" for name in interfaces),
        f"for d in /sys/class/infiniband/*/ports/*; do show {port}; done",
        "exit 0",
    ]
    return Question.of_one(Section("counters", "\n".join(body)), parse_counters, "launch", _ANSWER_S)


def parse_counters(output: SectionOutput) -> Counters:
    """Read what :func:`counters` found; what is no such figure counts for nothing."""
    tcp: list[list[str]] = []
    interfaces: dict[str, dict[str, int]] = {}
    ports: dict[str, dict[str, int]] = {}
    for path, said in pairs(output.text):
        if path == "Tcp":
            tcp.append(said.split())
            continue
        value = integer(said)
        if value is None or value < 0:
            continue
        if (found := _INTERFACE_PATH.fullmatch(path)) and found[2] in _INTERFACE:
            interfaces.setdefault(clean(found[1]), {})[_last(found[2])] = value
        elif (found := _PORT_PATH.fullmatch(path)) and found[3] in _PORT:
            port = f"{clean(found[1])}/{found[2]}"
            if port in ports or len(ports) < _MOST_PORTS:
                ports.setdefault(port, {})[_last(found[3])] = value
    names, values = (*tcp, [], [])[:2]
    said_of_tcp = dict(zip(names, map(integer, values), strict=False))
    return Counters(
        {
            ours: value
            for theirs, ours in _TCP.items()
            if (value := said_of_tcp.get(theirs)) is not None and value >= 0
        },
        interfaces,
        ports,
    )


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def growth(before: Counters, after: Counters) -> Counters:
    """Say what each figure grew by; one that fell was begun anew in between, and is left out."""

    def grown(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
        return {name: new[name] - old[name] for name in new if name in old and new[name] >= old[name]}

    def each(
        old: Mapping[str, Mapping[str, int]], new: Mapping[str, Mapping[str, int]]
    ) -> dict[str, Mapping[str, int]]:
        return {name: grown(old[name], new[name]) for name in new if name in old}

    return Counters(
        grown(before.tcp, after.tcp),
        each(before.interfaces, after.interfaces),
        each(before.ports, after.ports),
    )


@dataclass(frozen=True)
class Counting:
    """What the nodes' counters stood at before a run.

    ``questions`` is what each node is asked, ``before`` what it said, for those that said something.
    """

    questions: Mapping[str, Question[Counters]]
    before: Mapping[str, Counters]

    @classmethod
    def begin(cls, visit: Visit, ready: Ready) -> Counting:
        """Ask each node what its interface of the interconnect and its ports count; clear it on the way."""
        questions = {entry.host: counters([entry.interface]) for entry in ready.addresses.addresses}
        return cls(questions, clear_orphans(visit, questions))

    def end(self, visit: Visit, end: RunEnd) -> dict[str, Counters]:
        """Ask once more, and say what each node's counters grew by; who does not answer is left out.

        Parameters: how the run ended; after an interrupt nobody is asked for anything.
        """
        if end.how == "interrupted":
            return {}
        hosts = [host for host in visit.good if host.name in self.before]
        answers = visit.fleet.each(hosts, lambda session: session.ask(self.questions[session.name]))
        return {
            name: growth(self.before[name], answer)
            for name, answer in answers.items()
            if isinstance(answer, Counters)
        }
