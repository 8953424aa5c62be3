"""OpenSSH's words about a gateway, and what a person is told."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from clusterboot.inventory.cluster import Asked, Login
from clusterboot.ssh import way_words
from clusterboot.ssh.retry import TurnedAwayError
from clusterboot.ssh.way_argv import SshClient, base_argv, master_argv
from clusterboot.ssh.way_log import WayLog

HEAD = Login("head.example.org", "ubuntu")
CONNECTED = ["debug1: Connection established.", "debug1: Local version string SSH-2.0-OpenSSH_9.2p1"]
GREETED = [*CONNECTED, "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1"]
KEYED = [
    *GREETED,
    "debug1: Server host key: ssh-ed25519 SHA256:hosthosthost",
    "debug1: SSH2_MSG_NEWKEYS received",
]
OFFERED = [*KEYED, "debug1: Offering public key: /home/me/.ssh/my key ED25519 SHA256:minemine explicit"]

TOLD = [
    (
        ["ssh: Could not resolve hostname head.example.org: Name or service not known"],
        "resolve: the name does not resolve (Name or service not known)",
        "address",
    ),
    (
        ["ssh: connect to host head.example.org port 22: Connection refused"],
        "connect: cannot connect to port 22: Connection refused",
        "sshd runs",
    ),
    ([*CONNECTED, "Exceeded MaxStartups"], "banner: the server has too many logins in progress", "fanout"),
    ([*CONNECTED, "kex_exchange_identification: read: reset"], "banner: the server hung up before", "log"),
    (
        [
            *GREETED,
            "Unable to negotiate with 192.0.2.1 port 22: no matching cipher found. Their offer: x",
        ],
        "hostkey: key exchange failed: no matching cipher found. Their offer: x",
        "KexAlgorithms",
    ),
    (
        [*GREETED, "Connection closed by 192.0.2.1 port 22"],
        "hostkey: the server hung up during the key",
        "log",
    ),
    (
        [
            *KEYED,
            "debug1: Authentications that can continue: password,keyboard-interactive",
            "ubuntu@head.example.org: Permission denied (password,keyboard-interactive).",
        ],
        "auth: the server takes no keys, only password, keyboard-interactive",
        "SSH_ASKPASS",
    ),
    (
        [
            *OFFERED,
            "debug1: Authentications that can continue: publickey",
            "ubuntu@head.example.org: Permission denied (publickey).",
        ],
        "auth: key refused for ubuntu (offered /home/me/.ssh/my key SHA256:minemine)",
        "AuthorizedKeysFile",
    ),
    (
        [
            *OFFERED,
            "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures",
        ],
        "auth: too many keys offered: the server hung up after 1",
        "identity_file",
    ),
]


@pytest.mark.parametrize(("lines", "cause", "remedy"), TOLD, ids=[cause[:30] for _, cause, _ in TOLD])
def test_each_of_opensshs_words_becomes_a_stage_a_cause_and_a_remedy(
    lines: list[str], cause: str, remedy: str
) -> None:
    log = WayLog()
    for line in lines:
        log.feed(line)

    error = way_words.failure(log, HEAD, answered=False)

    assert (error.host, error.stage) == (HEAD.place, "gateway")
    assert error.cause.startswith(cause)
    assert remedy in (error.remedy or "")
    # Another try may be let in where the server did not hear who we are.
    assert isinstance(error, TurnedAwayError) == ("banner: " in cause or "hung up during the key" in cause)


def test_refused_streams_keep_their_own_words_however_they_mix() -> None:
    log = WayLog()
    for line in (
        "debug1: channel_connect_stdio_fwd: n1:22",
        "debug1: channel 2: new stdio-forward [stdio-forward] (inactive timeout: 0)",
        "debug1: channel_connect_stdio_fwd: n2:22",
        "debug1: channel 3: new [stdio-forward]",
        "channel 3: open failed: administratively prohibited: open failed",
        "channel 2: open failed: connect failed: Connection refused",
    ):
        assert log.feed(line) is None
    assert log.why_refused("n1", 22, 0, 0) == "connect failed: Connection refused"
    assert log.why_refused("n2", 22, 0, 0) == "administratively prohibited: open failed"


def test_the_cluster_files_words_stand_before_the_users_configuration() -> None:
    login = Login(
        "192.0.2.1",
        "ubuntu",
        2222,
        asked=Asked("head", user="ubuntu", port=None, identity_file=Path("/k e%y")),
    )
    base = base_argv(SshClient(), login, Path("/run/x/known_hosts"), None, Path("/run/y/s"))
    argv = master_argv(base, "head", Path("/run/x/s"), 30)
    options = [word for before, word in pairwise(argv) if before == "-o"]

    assert options[:3] == ["User=ubuntu", 'IdentityFile="/k e%%y"', "IdentitiesOnly=yes"]
    assert not [option for option in options if option.startswith(("Port=", "HostName="))]
    for never in (
        "StrictHostKeyChecking=yes",
        "ForwardAgent=no",
        "ForwardX11=no",
        "PermitLocalCommand=no",
        "BatchMode=yes",
        "GlobalKnownHostsFile=/dev/null",
        "ControlPersist=no",
    ):
        assert never in options
    assert "ProxyCommand=ssh -F none -S /run/y/s -W '[%h]:%p' -- gateway" in options
    assert argv[-2:] == ("--", "head")
