"""What ``~/.ssh/config`` adds to a cluster file, and what of it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot.inventory.cluster import Cluster, Login
from clusterboot.inventory.loader import load

Loader = Callable[..., Cluster]
Refused = Callable[[str], list[str]]

FLEET = "type: fleet\nname: test\nssh_config:\n  hosts: [node1, node2]\n"


@pytest.fixture
def configure(home: Path) -> Callable[[str], Path]:
    """Write the operator's ``~/.ssh/config``."""

    def writer(text: str) -> Path:
        path = home / ".ssh/config"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return writer


Configure = Callable[[str], Path]


def test_it_fills_in_what_the_file_leaves_out(load_text: Loader, configure: Configure, home: Path) -> None:
    for name in ("key", "key-cert.pub", "kh"):
        (home / ".ssh" / name).touch()
    configure(
        "Host node1\n  HostName 10.0.0.1\n  User ann\n  Port 2201\n  IdentityFile ~/.ssh/key\n"
        "  IdentityFile ~/.ssh/gone\n  IdentitiesOnly yes\n  HostKeyAlias Node-One\n"
        "  CertificateFile ~/.ssh/key-cert.pub\n  UserKnownHostsFile ~/.ssh/kh /etc/%n\n"
        "  IdentityAgent ${SOCK}/%r\n"
    )
    ssh = home / ".ssh"
    (node1, node2) = load_text(FLEET, extra={"SOCK": "/run"}).hosts
    assert node1.login == Login(
        "10.0.0.1",
        "ann",
        2201,
        identity_files=(ssh / "key",),
        identities_only=True,
        hostkey_alias="node-one",
        known_hosts_files=(ssh / "kh", Path("/etc/node1")),
        certificate_files=(ssh / "key-cert.pub",),
        identity_agent="/run/ann",
    )
    assert node1.login.hostkey_name == "node-one"
    assert node2.login.hostname == "node2"


def test_the_cluster_file_comes_first(load_text: Loader, configure: Configure, home: Path) -> None:
    (home / ".ssh/own").touch()
    (home / ".ssh/other").touch()
    configure("User ann\nPort 2201\nIdentityFile ~/.ssh/other\nProxyJump gate\n")
    (host,) = load_text(
        "type: fleet\nname: test\nssh_config:\n  user: bob\n  port: 22\n  identity_file: ~/.ssh/own\n"
        "  hosts: [node1]\n  proxy_jump: none\n"
    ).hosts
    assert host.login == Login("node1", "bob", identity_files=(home / ".ssh/own",), identities_only=True)
    assert host.via == ()


def test_match_user_sees_the_cluster_file_s_user(load_text: Loader, configure: Configure) -> None:
    configure("Match user bob\n  Port 2201\n")
    (host,) = load_text("type: fleet\nname: test\nssh_config: {user: bob, hosts: [a]}").hosts
    assert host.login.port == 2201


def test_a_proxy_jump_of_several_hops_is_passed_in_order(load_text: Loader, configure: Configure) -> None:
    configure(
        "Host node*\n  ProxyJump ann@outer:2200,inner\n"
        "Host outer\n  HostName 192.0.2.1\n  ProxyJump bastion\n"
        "Host inner\n  User ivy\n  ProxyJump ignored\nHost bastion\n  Port 2299\n"
    )
    host = load_text(FLEET).hosts[0]
    assert [(hop.hostname, hop.port) for hop in host.via] == [
        *(("bastion", 2299), ("192.0.2.1", 2200), ("inner", 22)),
    ]
    assert [hop.user for hop in host.via[1:]] == ["ann", "ivy"]


def test_a_gateway_of_the_cluster_file_may_itself_be_behind_one(
    load_text: Loader, configure: Configure
) -> None:
    configure("Host head\n  ProxyJump bastion\n")
    host = load_text(FLEET + "  proxy_jump: head\n").hosts[0]
    assert [hop.hostname for hop in host.via] == ["bastion", "head"]


def test_a_host_that_opts_out_of_a_proxy_jump(load_text: Loader, configure: Configure) -> None:
    configure(
        "Host node1\n  ProxyJump none\nHost *\n  ProxyJump %n-gate\nHost node2-gate\n  ProxyJump none\n"
    )
    configure("Host node1\n  ProxyJump none\nHost node2\n  ProxyJump %n-gate\n")
    assert [[hop.hostname for hop in host.via] for host in load_text(FLEET).hosts] == [[], ["node2-gate"]]


@pytest.mark.parametrize(
    "text", ["Host *\n  ProxyJump gate\n", "Host node*\n ProxyJump a\nHost a\n ProxyJump node1\n"]
)
def test_gateways_in_a_circle_are_a_problem(problems_of: Refused, configure: Configure, text: str) -> None:
    configure(text)
    assert any("ProxyJump: goes round: node1 -> " in problem for problem in problems_of(FLEET))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "HostName -oProxyCommand=id",
            "home/.ssh/config:2: HostName: '-oProxyCommand=id' is not a host name",
        ),
        ("HostName $(id)", "config:2: HostName: '$(id)' is not a host name"),
        ("HostName %x", "config:2: HostName: '%x' in '%x' cannot be resolved here"),
        ("ProxyJump -x", "config:2: ProxyJump: '-x' is not a host name"),
        ("ProxyJump ok,`id`", "config:2: ProxyJump: '`id`' is not a host name"),
        ("ProxyJump 'a b'@c", "config:2: ProxyJump: ''a b'' is not a login name"),
        ("User -l", "config:2: User: '-l' is not a login name"),
        ("HostKeyAlias 'a b'", "config:2: HostKeyAlias: 'a b' is not a host name"),
        ("Port 0", "config:2: Port: '0' is not a port"),
        ("Port ssh", "config:2: Port: 'ssh' is not a port"),
        ("IdentitiesOnly maybe", "config:2: identitiesonly: 'maybe'; write yes or no"),
        ("IdentityFile ~no-such-user-here/k", "config:2: there is no user 'no-such-user-here' here"),
        ("UserKnownHostsFile ${NOPE}/k", "config:2: the variable 'NOPE' is not set"),
        ('HostName "a', "config:2: hostname: a quote stays open"),
        ("HostName", "config:2: hostname: its value is missing"),
        ("HostName a b", "config:2: hostname: its value is missing or not the only one"),
        ("Match", "config:2: match: its value is missing"),
        ("Match all host x", "config:2: Match all is combined with other criteria"),
        ("Match host", "config:2: Match host: its pattern is missing"),
    ],
)
def test_what_openssh_would_refuse_or_run_is_a_problem_with_its_line(
    problems_of: Refused, configure: Configure, line: str, expected: str
) -> None:
    configure(f"Host node1\n{line}\n")
    assert any(problem.startswith("home/") and expected in problem for problem in problems_of(FLEET))


def test_match_exec_is_never_run_and_is_named_once(
    load_text: Loader, configure: Configure, tmp_path: Path
) -> None:
    witness = tmp_path / "ran"
    path = configure(
        f'Match exec "touch {witness}"\n  Port 1\nMatch !exec false\n  Port 2\n'
        "Match localnetwork 10.0.0.0/8\n  Port 3\n"
    )
    cluster = load_text(FLEET)
    assert not witness.exists()
    assert [host.login.port for host in cluster.hosts] == [22, 22]
    assert cluster.warnings == (
        f"{path}:1: Match exec is not evaluated here; the block is left out",
        f"{path}:3: Match exec is not evaluated here; the block is left out",
        f"{path}:5: Match localnetwork is not evaluated here; the block is left out",
    )


def test_a_proxy_command_is_not_run_and_is_named_once(load_text: Loader, configure: Configure) -> None:
    path = configure("ProxyCommand nc %h %p\n")
    cluster = load_text(FLEET)
    assert [host.via for host in cluster.hosts] == [(), ()]
    assert cluster.warnings == (f"{path}:1: ProxyCommand is used for gateways only; write proxy_jump",)


def test_a_file_that_others_can_write_is_refused(problems_of: Refused, configure: Configure) -> None:
    configure("Port 2222\n").chmod(0o666)
    (problem,) = problems_of(FLEET)
    assert problem == "home/.ssh/config: others can write to it, so ssh refuses it; chmod go-w it"


def test_includes_are_relative_to_the_ssh_folder(load_text: Loader, configure: Configure, home: Path) -> None:
    (home / ".ssh/conf.d").mkdir()
    (home / ".ssh/conf.d/10-nodes").write_text("Host node1\n  Port 2201\n")
    (home / ".ssh/conf.d/20-nodes").write_text("Host node*\n  Port 2202\n")
    configure("Include conf.d/*\nInclude ~/.ssh/not-there\n")
    assert [host.login.port for host in load_text(FLEET).hosts] == [2201, 2202]


def test_includes_that_multiply_are_refused(problems_of: Refused, configure: Configure, home: Path) -> None:
    (home / ".ssh/conf.d").mkdir()
    for number in range(12):
        (home / f".ssh/conf.d/{number}").write_text("Include conf.d/*\n")
    configure("Include conf.d/*\n")
    assert any("too many files include each other" in problem for problem in problems_of(FLEET))


def test_another_file_takes_the_place_of_both(
    write: Callable[..., Path], configure: Configure, environ: dict[str, str], tmp_path: Path
) -> None:
    configure("Port 2222\n")
    other = tmp_path / "other"
    other.write_text("User zoe\n")
    host = load(write(FLEET), ssh_config=other, environ=environ).hosts[0]
    assert (host.login.user, host.login.port) == ("zoe", 22)
    with pytest.raises(ValueError, match=r"gone: there is no such file; check the ssh_config's path"):
        load(write(FLEET), ssh_config=tmp_path / "gone", environ=environ)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("none", "none"),
        ("SSH_AUTH_SOCK", None),
        ("$AGENT", "/a/sock"),
        ("$UNSET", "none"),
        ("/s/%n", "/s/node1"),
    ],
)
def test_the_agent_is_named(
    load_text: Loader, configure: Configure, written: str, expected: str | None
) -> None:
    configure(f"IdentityAgent {written}\n")
    assert load_text(FLEET, extra={"AGENT": "/a/sock"}).hosts[0].login.identity_agent == expected


def test_no_files_at_all_are_the_empty_file(load_text: Loader, configure: Configure, home: Path) -> None:
    (home / ".ssh/id_rsa").touch()
    configure("UserKnownHostsFile none\nIdentityFile none\n")
    login = load_text(FLEET).hosts[0].login
    assert login.known_hosts_files == (Path("/dev/null"),)
    assert login.identity_files == ()


def test_two_names_of_one_machine_are_a_problem(problems_of: Refused, configure: Configure) -> None:
    configure("Host node2\n  HostName node1\n")
    (problem,) = problems_of("type: fleet\nname: test\nssh_config:\n  hosts:\n  - node1\n  - node2\n")
    assert problem == (
        "cluster.yaml:6: the machine node1 port 22 is here twice, first in line 5; keep one of them"
    )
