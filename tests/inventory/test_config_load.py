"""What a good cluster file becomes."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from ipaddress import ip_network
from os import getuid
from pathlib import Path

import pytest

from clusterboot.errors import UsageError
from clusterboot.inventory.cluster import Cluster, Login, Options
from clusterboot.inventory.loader import load

Loader = Callable[..., Cluster]

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
ME = pwd.getpwuid(getuid()).pw_name

DSTACK_EXAMPLE = """\
    type: fleet
    name: private-fleet
    placement: cluster
    ssh_config:
      user: ubuntu
      identity_file: ~/.ssh/worker_key
      hosts:
        - compute-host-1
        - compute-host-2
      proxy_jump:
        hostname: host-node
        identity_file: ~/.ssh/private_key
"""


def fleet(*lines: str) -> str:
    """A fleet whose ``ssh_config`` has these lines."""
    return "\n".join(["type: fleet", "name: test", "ssh_config:", *(f"  {line}" for line in lines)])


def test_a_dstack_fleet_file_is_read_unmodified(load_text: Loader, home: Path) -> None:
    worker, head = home / ".ssh/worker_key", home / ".ssh/private_key"
    worker.touch()
    head.touch()
    cluster = load_text(DSTACK_EXAMPLE)
    gateway = Login("host-node", "ubuntu", identity_files=(head,), identities_only=True)
    assert cluster.name == "private-fleet"
    assert [host.name for host in cluster.hosts] == ["compute-host-1", "compute-host-2"]
    assert cluster.hosts[1].login == Login(
        "compute-host-2", "ubuntu", identity_files=(worker,), identities_only=True
    )
    assert [host.via for host in cluster.hosts] == [(gateway,), (gateway,)]
    assert cluster.gateways == (gateway,)
    assert (cluster.options, cluster.env, cluster.network, cluster.warnings) == (Options(), {}, None, ())


def test_cloud_only_keys_are_ignored_with_one_warning_that_names_them(load_text: Loader) -> None:
    cluster = load_text(
        "type: fleet\nname: test\nnodes: 0..4\nbackends: [aws]\nidle_duration: 3d\nspot_policy: auto\n"
        "resources: {gpu: 24GB}\ntags: {a: b}\nssh_config:\n  hosts: [a]\n"
    )
    (warning,) = cluster.warnings
    assert warning.endswith(
        "cluster.yaml:3: ignored, as the hosts are there already: "
        "nodes, backends, idle_duration, spot_policy, resources, tags"
    )


def test_a_host_overrides_what_the_fleet_has(load_text: Loader, home: Path) -> None:
    for name in ("fleet", "own"):
        (home / ".ssh" / name).touch()
    a, b, c = load_text(
        fleet(
            "user: ubuntu",
            "port: 2222",
            "identity_file: ~/.ssh/fleet",
            "proxy_jump: head",
            "hosts:",
            "  - a",
            "  - {hostname: b, user: bob, port: 22, identity_file: ~/.ssh/own, blocks: auto,",
            "     internal_ip: 10.1.0.2}",
            "  - {hostname: c, proxy_jump: none}",
        )
    ).hosts
    assert (a.login.user, a.login.port, a.login.identity_files) == ("ubuntu", 2222, (home / ".ssh/fleet",))
    assert (b.login.user, b.login.port, b.login.identity_files) == ("bob", 22, (home / ".ssh/own",))
    assert (b.internal_ip, a.internal_ip) == ("10.1.0.2", None)
    assert [len(host.via) for host in (a, b, c)] == [1, 1, 0]


def test_what_nobody_says_is_openssh_s_default(load_text: Loader, home: Path) -> None:
    for name in ("id_rsa", "id_ed25519", "id_unknown"):
        (home / ".ssh" / name).touch()
    (host,) = load_text(fleet("hosts: [a]")).hosts
    assert host.login == Login(
        "a", ME, 22, identity_files=(home / ".ssh/id_ed25519", home / ".ssh/id_rsa"), identities_only=False
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("head", [("head", "fleet-user", 22)]),
        ("root@head:2222", [("head", "root", 2222)]),
        ("'DOMAIN\\root@realm@head'", [("head", "DOMAIN\\root@realm", 22)]),
        ("'[2001:db8::1]:2222'", [("2001:db8::1", "fleet-user", 2222)]),
        ("'2001:db8::1'", [("2001:db8::1", "fleet-user", 22)]),
        ("outer,root@inner:23", [("outer", "fleet-user", 22), ("inner", "root", 23)]),
        ("[outer, {hostname: inner, port: 23}]", [("outer", "fleet-user", 22), ("inner", "fleet-user", 23)]),
        ("{hostname: head, user: root, port: '24'}", [("head", "root", 24)]),
        ("none", []),
    ],
)
def test_gateways_in_every_form(
    load_text: Loader, written: str, expected: list[tuple[str, str, int]]
) -> None:
    (host,) = load_text(fleet("user: fleet-user", "port: 99", f"proxy_jump: {written}", "hosts: [a]")).hosts
    assert [(hop.hostname, hop.user, hop.port) for hop in host.via] == expected


def test_a_gateway_has_its_own_key_then_ssh_config_s_then_the_fleet_s(load_text: Loader, home: Path) -> None:
    for name in ("fleet", "own", "configured", "id_ed25519"):
        (home / ".ssh" / name).touch()
    (home / ".ssh/config").write_text(
        "Host known\n  IdentityFile ~/.ssh/configured\n  User config-user\n  HostName 192.0.2.1\n"
    )
    hosts = load_text(
        fleet(
            "user: fleet-user",
            "identity_file: ~/.ssh/fleet",
            "hosts:",
            "  - {hostname: a, proxy_jump: {hostname: known, identity_file: ~/.ssh/own}}",
            "  - {hostname: b, proxy_jump: known}",
            "  - {hostname: c, proxy_jump: unknown}",
        )
    ).hosts
    own, configured, inherited = (host.via[0] for host in hosts)
    assert (own.identity_files, own.identities_only) == ((home / ".ssh/own",), True)
    assert (configured.identity_files, configured.identities_only) == ((home / ".ssh/configured",), False)
    assert (inherited.identity_files, inherited.identities_only) == ((home / ".ssh/fleet",), True)
    assert [hop.user for hop in (own, configured, inherited)] == ["config-user", "config-user", "fleet-user"]
    assert (configured.hostname, inherited.hostname) == ("192.0.2.1", "unknown")


def test_key_paths_are_relative_to_the_file_and_tilde_is_home(
    load_text: Loader, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/node").touch()
    (host,) = load_text(fleet("identity_file: keys/node", "hosts: [a]")).hosts
    assert host.login.identity_files == (tmp_path / "keys/node",)


def test_a_name_is_dialled_in_small_letters_as_openssh_does(load_text: Loader) -> None:
    (host,) = load_text(fleet("hosts: [GPU1.Example]")).hosts
    assert (host.name, host.login.hostname) == ("GPU1.Example", "gpu1.example")


def test_folded_names_keep_order_and_zeros(load_text: Loader) -> None:
    cluster = load_text(fleet("hosts: [z, 'gpu[003,001-002]', 'a[1-2]b,last', 'rack1-[08-10].lan']"))
    assert [host.name for host in cluster.hosts] == [
        *("z", "gpu003", "gpu001", "gpu002", "a1b", "a2b", "last"),
        *("rack1-08.lan", "rack1-09.lan", "rack1-10.lan"),
    ]


def test_part_of_a_cluster_is_chosen_in_the_file_s_order(load_text: Loader) -> None:
    cluster = load_text(fleet("hosts: ['n[1-9]', x]"), hosts="x,n[7,2-4]", exclude="n3")
    assert [host.name for host in cluster.hosts] == ["n2", "n4", "n7", "x"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hosts": "n[1-4]"}, r"--hosts: not in the cluster: n3, n4; .*n1 to n2"),
        ({"exclude": "m1"}, "--exclude: not in the cluster: m1"),
        ({"hosts": "n1", "exclude": "n1"}, "no host is left"),
        ({"hosts": "@all"}, "--hosts: '@' in the host name"),
        ({"hosts": "n[1-"}, "--hosts: missing bracket"),
        ({"hosts": ""}, "--hosts: '' is not a host name"),
    ],
)
def test_a_choice_that_cannot_be_made_is_a_usage_error(
    load_text: Loader, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load_text(fleet("hosts: ['n[1-2]']"), **options)


def test_env_as_a_map_keeps_what_is_written(load_text: Loader) -> None:
    cluster = load_text("env: {DEBUG: yes, N: 0o10, S: 'a b', E: ''}\n" + fleet("hosts: [a]"))
    assert dict(cluster.env) == {"DEBUG": "yes", "N": "0o10", "S": "a b", "E": ""}


def test_env_takes_bare_names_from_the_operator(
    write: Callable[[str], Path], environ: dict[str, str]
) -> None:
    for text in ("env: [A=1=2, TOKEN, B=]\n", "env: {A: 1=2, TOKEN: , B: ''}\n"):
        cluster = load(write(text + fleet("hosts: [a]")), environ={**environ, "TOKEN": "secret"})
        assert dict(cluster.env) == {"A": "1=2", "TOKEN": "secret", "B": ""}


def test_a_network_may_have_host_bits(load_text: Loader) -> None:
    assert load_text(fleet("network: 10.1.0.7/16", "hosts: [a]")).network == ip_network("10.1.0.0/16")


def test_a_fleet_without_a_name_is_named_after_its_file(
    write: Callable[..., Path], environ: dict[str, str]
) -> None:
    path = write("type: fleet\nssh_config: {hosts: [a]}", "gpu-pod.dstack.yml")
    assert load(path, environ=environ).name == "gpu-pod"


def test_merge_keys_and_aliases_are_read(load_text: Loader) -> None:
    cluster = load_text(
        fleet(
            "hosts:",
            "  - &base {hostname: a, user: ann, port: 2201}",
            "  - {<<: *base, hostname: b, port: 2202}",
        )
    )
    assert [(host.name, host.login.user, host.login.port) for host in cluster.hosts] == [
        ("a", "ann", 2201),
        ("b", "ann", 2202),
    ]


def test_the_clusterboot_block_becomes_options(load_text: Loader, home: Path) -> None:
    (home / "kh").touch()
    options = load_text(
        fleet("port: 2222", "proxy_jump: head", "hosts: [n1, n2]")
        + f"""
clusterboot:
  keys: ca
  verify: full
  slots: 8
  launch_from: n2
  fanout: 16
  kex_algorithms: openssh
  certificate_hours: 168
  trust:
    known_hosts: ~/kh
    pins:
      n1: {ED25519} a comment
      head: [{ED25519}]
  mpi: {{prefix: /opt/openmpi, module: mpi/openmpi-x86_64, args: [--mca, btl, "^openib"]}}
  nccl: {{tests_dir: /opt/nccl-tests/build, ib_hca: "=mlx5_0:1,mlx5_1:1"}}
  expected_busbw_gb_s: {{all_reduce: 470, all_gather: 380.5}}
"""
    ).options
    assert (options.keys, options.verify, options.slots, options.launch_from, options.fanout) == (
        *("ca", "full", 8, "n2", 16),
    )
    assert options.kex_algorithms == "openssh"
    assert options.certificate_hours == 168
    assert options.trust.known_hosts == (home / "kh",)
    assert options.trust.pins == {"[n1]:2222": (ED25519,), "head": (ED25519,)}
    assert (options.mpi.prefix, options.mpi.module) == ("/opt/openmpi", "mpi/openmpi-x86_64")
    assert options.mpi.args == ("--mca", "btl", "^openib")
    assert (options.nccl.tests_dir, options.nccl.ib_hca) == (
        "/opt/nccl-tests/build",
        "=mlx5_0:1,mlx5_1:1",
    )
    assert options.expected_busbw_gb_s == {"all_reduce": 470.0, "all_gather": 380.5}


def test_expected_bandwidths_are_read_under_their_older_name(load_text: Loader) -> None:
    block = "clusterboot: {expected_busbw_gbps: {all_reduce: 470}}"
    cluster = load_text(f"type: fleet\nname: test\nssh_config: {{hosts: [a]}}\n{block}\n")
    assert cluster.options.expected_busbw_gb_s == {"all_reduce": 470.0}


def test_the_same_address_behind_two_gateways_is_two_machines(load_text: Loader, home: Path) -> None:
    (home / ".ssh/config").write_text("Host a b\n  HostName 10.0.0.1\n")
    hosts = load_text(
        fleet("hosts:", "  - {hostname: a, proxy_jump: head1}", "  - {hostname: b, proxy_jump: head2}")
    ).hosts
    assert [(host.name, host.login.hostname) for host in hosts] == [("a", "10.0.0.1"), ("b", "10.0.0.1")]


FORWARDED = fleet(
    "port: 22013",
    "hosts:",
    "  - gw.example.org",
    "  - {hostname: GW.example.org, port: 22014}",
    "  - {hostname: gw.example.org, port: 22015, name: third}",
    "  - {hostname: '2001:db8::7', port: 22016}",
    "  - {hostname: '2001:DB8:0::7', port: 22017, internal_ip: 10.1.0.5}",
    "  - {hostname: n6, port: 22}",
)


def test_hosts_of_one_hostname_with_different_ports_are_machines(load_text: Loader) -> None:
    hosts = load_text(FORWARDED).hosts
    assert [(host.name, host.login.hostkey_name) for host in hosts] == [
        ("gw.example.org-22013", "[gw.example.org]:22013"),
        ("GW.example.org-22014", "[gw.example.org]:22014"),
        ("third", "[gw.example.org]:22015"),
        ("2001:db8::7-22016", "[2001:db8::7]:22016"),
        ("2001:DB8:0::7-22017", "[2001:db8::7]:22017"),
        ("n6", "n6"),
    ]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ("gw.example.org-22013", [0]),
        ("gw.example.org:[22013,22015]", [0, 2]),
        ("third", [2]),
        ("gw.example.org", [0, 1, 2]),
        ("2001:DB8:0::7-22017", [4]),
        ("10.1.0.5,n6", [4, 5]),
        ("[2001:db8::7]:22016", [3]),
        ("2001:db8::7", [3, 4]),
        ("gw.example.org:[22013,22015],[2001:db8::7]:22017,n[6]", [0, 2, 4, 5]),
    ],
)
def test_a_host_is_chosen_by_name_hostname_port_and_address(
    load_text: Loader, wanted: str, places: list[int]
) -> None:
    everyone = load_text(FORWARDED).hosts
    assert load_text(FORWARDED, hosts=wanted).hosts == tuple(everyone[place] for place in places)
    without = load_text(FORWARDED, exclude=wanted).hosts
    assert without == tuple(host for at, host in enumerate(everyone) if at not in places)


def test_references_to_a_forwarded_host_may_have_its_port(load_text: Loader) -> None:
    options = load_text(
        FORWARDED
        + f"""
clusterboot:
  launch_from: gw.example.org:22013
  trust:
    pins:
      "gw.example.org:22013": {ED25519}
      "[gw.example.org]:22014": {ED25519}
      third: {ED25519}
"""
    ).options
    assert options.launch_from == "gw.example.org-22013"
    assert sorted(options.trust.pins) == [f"[gw.example.org]:{port}" for port in (22013, 22014, 22015)]


def test_a_name_stands_for_the_hostname_in_every_output(load_text: Loader) -> None:
    (home_config,) = load_text(fleet("hosts: [{hostname: 10.0.0.1, name: gpu-a}]")).hosts
    assert (home_config.name, home_config.login.hostname) == ("gpu-a", "10.0.0.1")
    for word in ("gpu-a", "10.0.0.1", "10.0.0.1:22"):
        assert load_text(fleet("hosts: [{hostname: 10.0.0.1, name: gpu-a}, b]"), hosts=word).hosts == (
            home_config,
        )
