"""Faults of the network, of login and of shells, and what bootstrap says of the node that has one."""

from __future__ import annotations

from dataclasses import dataclass

UNREACHABLE, FAILED, UNTRUSTED = "unreachable", "failed", "untrusted"


@dataclass(frozen=True)
class Told:
    """A fault of a node, and what bootstrap says of that node: status, stage, cause, remedy."""

    fault: str
    status: str
    stage: str
    cause: str
    remedy: str


TABLE = [
    Told("port-closed", UNREACHABLE, "connect", r"cannot reach port 22: Connection refused", "sshd runs"),
    Told("port-filtered", UNREACHABLE, "connect", r"no answer on port 22 within 10 s, seen from", "firewall"),
    Told("powered-off", UNREACHABLE, "connect", r"no answer on port 22 within 10 s, seen from", "down"),
    Told("frozen", UNREACHABLE, "banner", r"no SSH banner came within 10 s", "frozen"),
    Told("half-banner", UNREACHABLE, "banner", r"only part of .* within 10 s: 'SSH-2.0-Op'", "frozen"),
    Told("dribbling", UNREACHABLE, "banner", r"only part of an SSH banner came within 10 s: 'SS", "frozen"),
    Told("banner-only", UNREACHABLE, "hostkey", r"did not finish the key exchange within 10 s", "firewall"),
    Told("crowded", UNREACHABLE, "banner", r"the server (has too many|accepts no)", "MaxStartups"),
    Told("no-sessions", UNREACHABLE, "channel", r"sshd refused a session: open failed", "MaxSessions"),
    Told(
        "key-refused",
        UNREACHABLE,
        "auth",
        r"key refused for ubuntu \(offered \S+node_key SHA",
        "AuthorizedKeys",
    ),
    Told("keys-elsewhere", UNREACHABLE, "auth", r"key refused for ubuntu", "AuthorizedKeysFile"),
    Told("huge-banner", UNREACHABLE, "auth", r"hung up during the login as ubuntu", "Banner file"),
    Told("nologin", FAILED, "channel", r"closed there by /etc/nologin: down for main", "remove that file"),
    Told("nologin-shell", FAILED, "channel", r"ended before it ran anything \(exit status 1\)", "nologin"),
    Told("force-command", FAILED, "channel", r"ended before .*this account runs one command", "ForceCommand"),
    Told("exiting-shell", FAILED, "channel", r"ended before it ran anything \(exit status 7\)", "start-up"),
    Told(
        "changed-host-key",
        UNTRUSTED,
        "hostkey",
        r"changed: got SHA256:.* at \S+known_hosts:\d",
        "find out why",
    ),
    Told("disk-full", FAILED, "keys", r"No space left on device", "free disk space"),
]


HARMLESS = ["csh", "fish", "noisy-shell", "big-banner", "max-sessions", "few-tries"]


# What stands between n1, where a launch would start, and the node, while others reach it.
BETWEEN = {"one-way": "filtered", "dead-pair": "filtered"}


HEAD = [
    ("no-forwarding", "gateway", r"does not allow forwarding to port 22 of this", "AllowTcpForwarding yes"),
    ("port-closed", "gateway", r"connect: cannot connect to port 22: Connection refused", "sshd runs"),
    ("key-refused", "gateway", r"auth: key refused for ubuntu \(offered \S+head_key", "AuthorizedKeysFile"),
    ("frozen", "gateway", r"banner: .*no SSH banner came before the command's deadline", "frozen"),
    ("powered-off", "gateway", r"connect: .*no answer before the command's deadline", "firewall"),
]
