"""Which ``ProxyCommand`` is a ``ProxyJump``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot.inventory.cluster import Cluster
from clusterboot.inventory.openssh.proxy_command import as_jump


@pytest.mark.parametrize(
    ("command", "jump"),
    [
        ("ssh -W %h:%p gw", "gw"),
        ("ssh gw -W %h:%p", "gw"),
        ("/usr/bin/ssh -q -W [%h]:%p root@gw", "root@gw"),
        ("ssh -qW%h:%p -l root -p 2222 gw", "root@gw:2222"),
        ("exec ssh -axT -W '[%h]:%p' -J outer,root@inner gw 2> /dev/null", "outer,root@inner,gw"),
        ("ssh -W %h:%p %r@gw-%h", "%r@gw-%h"),
        ('ssh -W "%h:%p" 2001:db8::1', "[2001:db8::1]"),
    ],
)
def test_ssh_that_forwards_to_the_host_is_a_jump(command: str, jump: str) -> None:
    assert as_jump(command) == jump


@pytest.mark.parametrize(
    "command",
    [
        "nc -X connect -x proxy:3128 %h %p",
        "ssh gw nc %h %p",
        "ssh -W %h:22 gw",
        "ssh -W other:%p gw",
        "ssh -F other -W %h:%p gw",
        "ssh -o StrictHostKeyChecking=no -W %h:%p gw",
        "ssh -i key -W %h:%p gw",
        "ssh -W %h:%p gw; id",
        "ssh -W %h:%p $(gw)",
        "ssh -W %h:%p gw | tee log",
        "ssh -W %h:%p gw other",
        "ssh -W %h:%p -l a b@gw",
        "ssh -W %h:%p ssh://gw",
        "ssh -W %h:%p gw-%C",
        "ssh -W %h:%p -W %h:%p gw",
        "ssh -W %h:%p",
        "ssh -p",
        "ssh - gw",
        "ssh -W %h:%p -",
        "ssh -W %h:%p -- -oProxyCommand=id",
        "ssh -W '' gw",
        "ssh 'gw",
        "sshpass -p x ssh -W %h:%p gw",
        "none",
        "",
    ],
)
def test_any_other_command_is_none(command: str) -> None:
    assert as_jump(command) is None


def test_such_a_command_gives_the_gateway_with_its_own_settings(
    load_text: Callable[..., Cluster], home: Path
) -> None:
    (home / ".ssh/config").write_text(
        "Host n1\n  ProxyCommand ssh -q -W %h:%p -l %r gate\n"
        "Host gate\n  HostName 192.0.2.1\n  Port 2222\n  User other\n"
        "Host n2\n  ProxyCommand nc %h %p\n"
    )
    cluster = load_text("type: fleet\nname: test\nssh_config: {user: ann, hosts: [n1, n2]}")
    assert [[(hop.hostname, hop.user, hop.port) for hop in host.via] for host in cluster.hosts] == [
        [("192.0.2.1", "ann", 2222)],
        [],
    ]
    (warning,) = cluster.warnings
    assert warning.endswith(".ssh/config:8: ProxyCommand is not used; write ProxyJump, or proxy_jump")
