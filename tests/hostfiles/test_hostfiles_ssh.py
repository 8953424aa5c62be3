from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterboot.errors import PartialError
from clusterboot.hostfiles.ssh import render_known_hosts, render_ssh_config
from clusterboot.inventory.cluster import Cluster, Host, Login

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEJxQ1Zz3kq6d5s0y4X0m1u2v3w4x5y6z7A8B9C0D1E2"
BLOB = base64.b64decode(KEY.split()[1])
KNOWN_HOSTS = Path("/srv/hostfiles/lab/known_hosts")
HEAD = Login("head-node", "ops", identity_files=(Path("/keys/head key"),), identities_only=True)
INNER = Login("10.0.0.2", "relay", port=2222, hostkey_alias="inner")


def cluster(*hosts: Host) -> Cluster:
    return Cluster("lab", Path("cluster.yaml"), hosts)


HOSTS = (
    Host(
        "gpu001", Login("compute-host-1", "ubuntu", identity_files=(Path("/keys/100%/worker"),)), via=(HEAD,)
    ),
    Host("gpu002", Login("fd00:1::5", "ubuntu", port=2200), via=(HEAD, INNER)),
    Host("direct", Login("direct", "ada", identities_only=True)),
)

GOLDEN = """\
Host head-node
    HostName head-node
    User ops
    Port 22
    IdentityFile "/keys/head key"
    IdentitiesOnly yes

Host 10.0.0.2
    HostName 10.0.0.2
    User relay
    Port 2222
    HostKeyAlias inner
    ProxyJump head-node

Host gpu001
    HostName compute-host-1
    User ubuntu
    Port 22
    IdentityFile /keys/100%%/worker
    ProxyJump head-node

Host gpu002
    HostName fd00:1::5
    User ubuntu
    Port 2200
    ProxyJump 10.0.0.2

Host direct
    HostName direct
    User ada
    Port 22
    IdentityFile none
    IdentitiesOnly yes

Host *
    StrictHostKeyChecking yes
    UserKnownHostsFile /srv/hostfiles/lab/known_hosts
    GlobalKnownHostsFile /dev/null
    UpdateHostKeys no
    CheckHostIP no
    ForwardAgent no
"""


def resolve(folder: Path, text: str, name: str) -> dict[str, list[str]]:
    """Ask ssh itself what it would do."""
    path = folder / "ssh_config"
    path.write_text(text)
    done = subprocess.run(["ssh", "-G", "-F", path, name], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def test_the_configuration_is_written_as_expected() -> None:
    assert render_ssh_config(cluster(*HOSTS), KNOWN_HOSTS) == GOLDEN


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpu001", ("compute-host-1", "ubuntu", "22", ["/keys/100%/worker"], "no", "head-node")),
        ("gpu002", ("fd00:1::5", "ubuntu", "2200", None, "no", "10.0.0.2")),
        ("10.0.0.2", ("10.0.0.2", "relay", "2222", None, "no", "head-node")),
        ("head-node", ("head-node", "ops", "22", ["/keys/head key"], "yes", None)),
    ],
)
def test_ssh_understands_it_so(tmp_path: Path, name: str, expected: tuple[object, ...]) -> None:
    known_hosts = tmp_path / "a b%d" / "known_hosts"
    said = resolve(tmp_path, render_ssh_config(cluster(*HOSTS), known_hosts), name)
    hostname, user, port, keys, only, jump = expected
    assert [said["hostname"], said["user"], said["port"]] == [[hostname], [user], [port]]
    if keys is not None:
        assert [value.replace("%%", "%") for value in said["identityfile"]] == keys
    assert said["identitiesonly"] == [only]
    jumps = [value.strip("[]") for value in said.get("proxyjump", [])]
    assert jumps == ([jump] if jump else [])
    assert said["stricthostkeychecking"] == ["true"]
    assert said["forwardagent"] == ["no"]
    assert said["globalknownhostsfile"] == ["/dev/null"]


def test_a_gateway_gets_another_name_where_a_host_has_its() -> None:
    node = Host("head-node", Login("10.1.0.1", "ada"), via=(HEAD,))
    text = render_ssh_config(cluster(node), KNOWN_HOSTS)
    assert "Host head-node-gateway-1\n    HostName head-node\n" in text
    assert "Host head-node\n    HostName 10.1.0.1\n" in text
    assert "ProxyJump head-node-gateway-1\n" in text


def test_a_host_that_is_the_gateway_too_stands_once() -> None:
    head = Host("gpu000", HEAD)
    text = render_ssh_config(cluster(head, HOSTS[0]), KNOWN_HOSTS)
    assert text.count("HostName head-node") == 1
    assert "ProxyJump gpu000\n" in text


def test_one_machine_reached_two_ways_keeps_both() -> None:
    near = Host("n1", Login("n1", "ada"), via=(INNER,))
    far = Host("n2", Login("n2", "ada"), via=(HEAD, INNER))
    text = render_ssh_config(cluster(near, far), KNOWN_HOSTS)
    assert text.count("HostName 10.0.0.2\n") == 2
    assert "Host n1\n    HostName n1\n    User ada\n    Port 22\n    ProxyJump 10.0.0.2\n" in text
    assert "Host n2\n    HostName n2\n    User ada\n    Port 22\n    ProxyJump 10.0.0.2-gateway-1\n" in text


def test_a_gateway_called_none_is_still_jumped_through() -> None:
    host = Host("n1", Login("n1", "ada"), via=(Login("none", "ops"),))
    assert "ProxyJump none-gateway-1\n" in render_ssh_config(cluster(host), KNOWN_HOSTS)


def test_an_ipv6_gateway_is_not_taken_for_host_and_port() -> None:
    host = Host("n1", Login("n1", "ada"), via=(Login("fd00::9", "ops"),))
    text = render_ssh_config(cluster(host), KNOWN_HOSTS)
    assert "Host fd00--9\n    HostName fd00::9\n" in text
    assert "ProxyJump fd00--9\n" in text


@pytest.mark.parametrize(
    "host",
    [
        Host("n1", Login("-oProxyCommand=id", "ada")),
        Host("n1", Login("$(id)", "ada")),
        Host("n1", Login("n1", "ada; id")),
        Host("n1", Login("n1", "ada\nProxyCommand id")),
        Host("n*", Login("n1", "ada")),
        Host("!n1", Login("n1", "ada")),
        Host("n1", Login("n1", "ada", hostkey_alias="a b")),
        Host("n1", Login("n1", "ada", identity_files=(Path('/k"\nProxyCommand id'),))),
        Host("n1", Login("n1", "ada", identity_files=(Path("/k/${HOME}"),))),
        Host("n1", Login("n1", "ada", identity_files=(Path("relative"),))),
        Host("n1", Login("n1", "ada"), via=(Login("%h", "ada"),)),
    ],
    ids=str,
)
def test_what_ssh_could_take_for_more_is_refused(host: Host) -> None:
    with pytest.raises(PartialError) as caught:
        render_ssh_config(cluster(host), KNOWN_HOSTS)
    assert caught.value.stage == "hostfile"


names = st.text(alphabet="abcxyz019.-_:", min_size=1, max_size=12)
logins = st.builds(
    Login, hostname=names, user=st.sampled_from(["ada", "ops"]), port=st.sampled_from([22, 2222])
)
hosts = st.builds(Host, names, logins, st.lists(logins, max_size=3).map(tuple))


@settings(deadline=None)  # what a shared machine takes is no test
@given(st.lists(hosts, max_size=4, unique_by=lambda host: host.name))
def test_every_machine_has_one_block_and_every_jump_leads_to_one(drawn: list[Host]) -> None:
    try:
        text = render_ssh_config(cluster(*drawn), KNOWN_HOSTS)
    except PartialError:
        return
    blocks = {}
    for block in text.split("\n\n"):
        lines = [line.split(maxsplit=1) for line in block.splitlines()]
        assert lines[0][1] not in blocks
        blocks[lines[0][1]] = dict(lines[1:])
    for host in drawn:
        way, name = [], host.name
        while True:
            block = blocks[name]
            way.append((block["HostName"], block["User"], int(block["Port"])))
            if "ProxyJump" not in block:
                break
            name = block["ProxyJump"]
        expected = [(login.hostname, login.user, login.port) for login in (host.login, *reversed(host.via))]
        assert way == expected


def test_known_hosts_has_a_line_a_key() -> None:
    pins = {"head-node": [BLOB], "[10.0.0.2]:2222": [BLOB, BLOB], "none": []}
    assert render_known_hosts(pins) == f"head-node {KEY}\n[10.0.0.2]:2222 {KEY}\n"


@pytest.mark.parametrize("name", ["a b", "*", "-a", "a,b", "@revoked", "a\nb", ""])
def test_known_hosts_takes_no_pattern_or_marker_for_a_name(name: str) -> None:
    with pytest.raises(PartialError):
        render_known_hosts({name: [BLOB]})


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"ssh-ed25519",
        b"\0\0\0\x0bssh-ed25519"[:9],
        b"\0\0\0\x0dx\nssh-ed25519" + BLOB[15:],
        b"\0\0\0\x07ssh-rsa",
    ],
)
def test_known_hosts_takes_nothing_but_keys(key: bytes) -> None:
    with pytest.raises(PartialError):
        render_known_hosts({"n1": [key]})
