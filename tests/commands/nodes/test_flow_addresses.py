"""Unusual ways to nodes: IPv6 alone, a head that is dialled elsewhere, several gateways, none."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from patience import HANGS_S

import launch_mpis
from clusterboot import lab as labs
from clusterboot.lab.faults import paths
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

SMALL = ("--backend", "mpi", "-b", "8", "-e", "64", "-n", "2", "-w", "0")


@pytest.fixture(scope="module")
def small_lab(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=3)


@pytest.fixture
def only_ipv6(small_lab: labs.Lab) -> Iterator[list[str]]:
    """Have the lab speak IPv6 alone: gives its nodes' addresses."""
    labs.break_node(small_lab.name, "switch", "ipv6-only")
    try:
        yield [paths.address6(small_lab, node) for node in small_lab.nodes]
    finally:
        labs.mend(small_lab.name, "switch")


def cluster_file(operator: Operator, lab: labs.Lab, name: str, hosts: str, gateway: str) -> tuple[str, str]:
    path = operator.folder / f"{name}.yaml"
    path.write_text(
        f"type: fleet\nname: {name}\nssh_config:\n  user: ubuntu\n  identity_file: {lab.folder}/node_key\n"
        f"  hosts: {hosts}\n  proxy_jump: {{hostname: {gateway}, identity_file: {lab.folder}/head_key}}\n"
    )
    return "--cluster", str(path)


def pins(lab: labs.Lab, names: dict[str, str]) -> str:
    """Write the lab's pins with other names in the place of those that it has."""
    lines = []
    for line in (lab.folder / "known_hosts").read_text().splitlines():
        name, _, key = line.partition(" ")
        lines.append(f"{names.get(name.partition(',')[0], name)} {key}\n")
    return "".join(lines)


def known_hosts(operator: Operator, text: str) -> None:
    (operator.folder / ".ssh").mkdir(mode=0o700)
    (operator.folder / ".ssh/known_hosts").write_text(text)


def test_nodes_that_speak_ipv6_alone_are_bootstrapped_and_launched_on(
    small_lab: labs.Lab, operator: Operator, only_ipv6: list[str]
) -> None:
    first, second, third = only_ipv6
    long = ip_address(first).exploded.upper()
    known_hosts(operator, pins(small_lab, {"n1": first, "n2": second}))
    hosts = f"['{long}', '{second}', {{hostname: n3, internal_ip: '{third}'}}]"
    cluster = cluster_file(operator, small_lab, "six", hosts, str(small_lab.head_address))

    said = operator.document("bootstrap", *cluster)

    assert [(host["name"], host["status"]) for host in said["hosts"]] == [
        (name, "ok") for name in (long, second, "n3")
    ]
    folder = operator.folder / "hostfiles/six"
    names = [first.replace(":", "-"), second.replace(":", "-"), "n3"]
    assert (folder / "openmpi").read_text() == "".join(f"{name} slots=1\n" for name in names)
    assert (folder / "mpich").read_text() == "".join(f"{name}:1\n" for name in names)
    for host, hostname in ((second, "n2"), ("n3", "n3")):
        assert operator.ssh("six", host, "hostname").stdout == f"{hostname}\n"
    for word in (first, names[0], "n1"):
        ssh = ["ssh", "-o", "BatchMode=yes", word, "hostname"]
        assert labs.node_exec(small_lab.name, "n2", ssh, user="ubuntu").stdout == "n1\n"
    again = operator.document("bootstrap", *cluster)
    assert not any(host["changed"] for host in again["hosts"])
    ran = operator.document("nccl-test", *cluster, *SMALL)
    assert ran["tests"][0]["verdict"] == "ok"
    assert len(ran["tests"][0]["rows"]) == 4


@pytest.mark.slow
@pytest.mark.parametrize("mpi", ["openmpi5", "intelmpi", "mpich5"])
def test_nodes_that_speak_ipv6_alone_are_launched_on_by_each_mpi_that_can(
    small_lab: labs.Lab, operator: Operator, only_ipv6: list[str], mpi: str
) -> None:
    known_hosts(operator, pins(small_lab, dict(zip(("n1", "n2", "n3"), only_ipv6, strict=True))))
    hosts = ", ".join(f"'{address}'" for address in only_ipv6)
    cluster = cluster_file(operator, small_lab, "six", f"[{hosts}]", str(small_lab.head_address))
    path = Path(cluster[1])
    path.write_text(path.read_text() + f"clusterboot: {{mpi: {{prefix: {launch_mpis.folders()[mpi]}}}}}\n")
    operator.document("bootstrap", *cluster)

    ran = operator.document("nccl-test", *cluster, *SMALL, expect=6 if mpi == "mpich5" else 0)

    if mpi == "mpich5":
        assert ran["verdict"] == "could-not-launch"
        assert "launches over IPv4 alone" in json.dumps(ran)
    else:
        assert (ran["verdict"], ran["mpi"]["kind"]) == ("ok", mpi.rstrip("5"))
        assert sorted(rank["host"] for rank in ran["tests"][0]["ranks"]) == ["n1", "n2", "n3"]


class Translator:
    """Somebody between the operator and the head who has another address, and passes all on: a NAT."""

    def __init__(self, address: str, target: str) -> None:
        self._target = target
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [self._start(self._accept)]

    def _start(self, work: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection((self._target, 22))
                self._open += [near, far]
                self._threads += [self._start(_pass_on, near, far), self._start(_pass_on, far, near)]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(HANGS_S)
        for one in self._open:
            one.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def outside_port(small_lab: labs.Lab) -> Iterator[int]:
    translator = Translator("127.0.0.77", str(small_lab.head_address))
    yield translator.port
    translator.close()


def test_a_head_behind_nat_is_dialled_where_only_the_operator_knows_it(
    small_lab: labs.Lab, operator: Operator, outside_port: int
) -> None:
    outside = f"[127.0.0.77]:{outside_port}"
    known_hosts(operator, pins(small_lab, {str(small_lab.head_address): outside}))
    config = f"Host gate.example\n  HostName 127.0.0.77\n  Port {outside_port}\n"
    (operator.folder / ".ssh/config").write_text(config)
    cluster = cluster_file(operator, small_lab, "nat", "['n[1-3]']", "gate.example")

    said = operator.document("bootstrap", *cluster)

    assert [host["status"] for host in said["hosts"]] == ["ok"] * 3
    ran = operator.document("nccl-test", *cluster, *SMALL)
    assert ran["tests"][0]["verdict"] == "ok"
    assert operator.ssh("nat", "n2", "hostname").stdout == "n2\n"
    # What only the operator knows is of no use to a node, and stands nowhere on it.
    own = small_lab.home("n1") / ".ssh/clusterboot/nat"
    files = (own / "config", own / "known_hosts", own.parents[1] / "authorized_keys")
    texts = [path.read_text() for path in files]
    assert not any("127.0.0.77" in text or "gate.example" in text for text in texts)


@pytest.fixture
def forwarded(small_lab: labs.Lab, operator: Operator) -> Iterator[list[int]]:
    """Forward ports of one address of the operator's to the nodes: gives the ports."""
    known_hosts(operator, pins(small_lab, {}))
    ports: list[int] = []
    with ExitStack() as held:
        for _ in small_lab.nodes:
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.78", 0))
            ports.append(one.getsockname()[1])
    words = [f"-L127.0.0.78:{port}:{node.name}:22" for port, node in zip(ports, small_lab.nodes, strict=True)]
    control = ["ssh", "-S", f"{operator.folder}/control", "-F", "none", "-i", f"{small_lab.folder}/head_key"]
    trust = [f"-oUserKnownHostsFile={operator.folder}/.ssh/known_hosts", "-oStrictHostKeyChecking=yes"]
    to = ["-l", "ubuntu", str(small_lab.head_address)]
    begin = [*control, *trust, "-fNM", "-oExitOnForwardFailure=yes", *words, *to]
    subprocess.run(begin, check=True, timeout=HANGS_S, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield ports
    finally:
        subprocess.run([*control, "-O", "exit", *to], check=True, timeout=HANGS_S, stderr=subprocess.DEVNULL)


def test_machines_behind_forwarded_ports_of_one_address_are_a_cluster(
    small_lab: labs.Lab, operator: Operator, forwarded: list[int]
) -> None:
    names = [f"127.0.0.78-{port}" for port in forwarded]
    hosts = "".join(f"    - {{hostname: 127.0.0.78, port: {port}}}\n" for port in forwarded)
    path = operator.folder / "ports.yaml"
    path.write_text(
        f"type: fleet\nname: ports\nssh_config:\n  user: ubuntu\n"
        f"  identity_file: {small_lab.folder}/node_key\n  hosts:\n{hosts}"
    )
    cluster = ("--cluster", str(path))

    said = operator.document("bootstrap", *cluster, "--accept-new", "--verify", "full")

    assert [(host["name"], host["status"]) for host in said["hosts"]] == [(name, "ok") for name in names]
    pinned = (operator.folder / "state/clusterboot/ports/known_hosts").read_text().split("\n")
    known = (operator.folder / "hostfiles/ports/known_hosts").read_text().split("\n")
    for lines in (pinned, known):
        assert {line.partition(" ")[0] for line in lines if line} == {f"[127.0.0.78]:{p}" for p in forwarded}
    nodes = [node.name for node in small_lab.nodes]
    for name, port, node in zip(names, forwarded, nodes, strict=True):
        assert operator.ssh("ports", name, "hostname").stdout == f"{node}\n"
        ran = operator.document("run", *cluster, "--hosts", f"127.0.0.78:{port}", "hostname")
        assert {name: f"{node}\n"} == {host: answer["stdout"] for host, answer in ran["answers"].items()}
        # Between each other they use sshd's own port, not the one that is forwarded to it.
        ssh = ["ssh", "-o", "BatchMode=yes", name, "hostname"]
        assert labs.node_exec(small_lab.name, "n1", ssh, user="ubuntu").stdout == f"{node}\n"
    again = operator.document("bootstrap", *cluster)
    assert not any(host["changed"] for host in again["hosts"])
    ran = operator.document("nccl-test", *cluster, *SMALL)
    assert ran["tests"][0]["verdict"] == "ok"
    assert sorted(rank["host"] for rank in ran["tests"][0]["ranks"]) == nodes
    mapped = operator.document("link-map", *cluster, "--dry-run")
    assert mapped["nodes"] == names
    left = operator.document("teardown", *cluster)
    assert [host["status"] for host in left["hosts"]] == ["ok"] * 3


def test_each_way_fails_for_itself_where_hosts_have_different_ones(
    small_lab: labs.Lab, operator: Operator
) -> None:
    head = f"{{hostname: {small_lab.head_address}, identity_file: {small_lab.folder}/head_key}}"
    known_hosts(operator, pins(small_lab, {}))
    ways = {
        "n3": "",
        "nonesuch": "",
        "far-1": f"proxy_jump: [{head}, {{hostname: n1}}]",
        "far-2": f"proxy_jump: [{head}, {{hostname: n1}}]",
        "far-3": f"proxy_jump: [{head}, {{hostname: n2}}]",
        "astray": "proxy_jump: gate.invalid",
        str(small_lab.head_address): f"proxy_jump: none, identity_file: {small_lab.folder}/head_key",
    }
    hosts = ", ".join(f"{{hostname: {name}, {way}}}" for name, way in ways.items())
    cluster = cluster_file(operator, small_lab, "ways", f"[{hosts}]", str(small_lab.head_address))
    labs.break_node(small_lab.name, "n1", "port-closed")
    try:
        said = operator.document("run", *cluster, "hostname", expect=3)
    finally:
        labs.mend(small_lab.name, "n1")

    told = {host["name"]: (host["stage"], host["cause"]) for host in said["hosts"] if host["stage"]}
    dead = f"n1: connect: {small_lab.head_address} cannot reach port 22: Connection refused"
    assert told.pop("far-1") == told.pop("far-2") == ("gateway", dead)
    stage, cause = told.pop("astray")
    assert (stage, cause.startswith("gate.invalid: resolve: the name does not resolve (")) == (
        "gateway",
        True,
    )
    for name, asked in (("nonesuch", small_lab.head_address), ("far-3", "n2")):
        stage, cause = told.pop(name)
        assert (stage, cause.startswith(f"{asked} cannot reach port 22: ")) == ("resolve", True), cause
    assert told == {}
    assert all(host["remedy"] for host in said["hosts"] if host["stage"])
    answers = {name: answer["stdout"] for name, answer in said["answers"].items()}
    assert answers == {"n3": "n3\n", str(small_lab.head_address): "head\n"}
    log = operator.folder / "state/clusterboot/ways/audit.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    logins = [(entry["host"], entry["via"]) for entry in entries if entry["event"] == "connect"]
    assert logins.count(("n1", str(small_lab.head_address))) == 1
    assert logins.count(("n2", str(small_lab.head_address))) == 1
