"""Faults of logging in: of sshd's settings, of host keys, of the account's shell."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from clusterboot.errors import UsageError

from .. import machine_files, sshd
from ..description import Fault, Lab, LabNode
from ..enter import machine_of
from .kinds import FaultKind, on_machine

_ASKS_ONCE = "UsePAM yes\nPubkeyAuthentication no\nPasswordAuthentication yes\nPermitRootLogin yes"

# What stands before the lab's own settings; of a keyword that comes twice, sshd takes the first.
_SETTINGS = {
    "big-banner": "Banner /etc/ssh/banner",
    "certificates-only": "AuthorizedKeysFile none\nTrustedUserCAKeys /etc/ssh/user_ca.pub",
    "crowded": "MaxStartups 1:100:1\nLoginGraceTime 0",
    "few-tries": "MaxAuthTries 3",
    "force-command": "ForceCommand /bin/echo this account runs one command only",
    "head-by-proxycommand": "ListenAddress 127.0.0.1",
    "head-otp": "UsePAM yes\nPubkeyAuthentication no\nKbdInteractiveAuthentication yes\nPermitRootLogin yes",
    "head-password": _ASKS_ONCE,
    "huge-banner": "Banner /etc/ssh/banner",
    # The command prints the key that was offered, as one that is let in.
    "impostor": "AuthorizedKeysCommand /bin/echo %t %k\nAuthorizedKeysCommandUser nobody\nLogLevel VERBOSE",
    "key-refused": "AuthorizedKeysFile none",
    "keys-elsewhere": "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u",
    "max-sessions": "MaxSessions 1",
    "max-startups": "MaxStartups 1:100:1",
    "middle-hop": _ASKS_ONCE,
    "no-forwarding": "AllowTcpForwarding no",
    "no-sessions": "MaxSessions 0",
}
# The two halves of sshd exchange 256 KiB at most, monitor_wrap.c: on more than that it ends.
_BANNERS = {"big-banner": 250_000, "huge-banner": 1_000_000}

_START_UP = {
    "exiting-shell": "exit 7\n",
    # The parent of a login shell is the sshd that carries the session, as the user's own process.
    "freezing-shell": "kill -STOP $PPID\n",
    "hanging-shell": "exec sleep infinity\n",
    "noisy-shell": "head -c 1000000 /dev/zero | tr '\\0' x\nprintf '\\033]0;owned\\007' >&2\n",
}
_SHELLS = {"csh": "tcsh", "fish": "fish", "nologin-shell": "nologin"}

_BEFORE = ".before-{kind}"


def _etc_ssh(lab: Lab, node: LabNode) -> Path:
    return lab.folder / node.name / "etc" / "ssh"


def configure(lab: Lab, fault: Fault) -> None:
    """Write sshd's settings as the lab's list of faults has them, and have them read."""
    node = machine_of(lab, fault.node)
    lines = [_SETTINGS[f.kind] for f in lab.faults if f.node == node.name and f.kind in _SETTINGS]
    banner = _etc_ssh(lab, node) / "banner"
    size_bytes = max((_BANNERS.get(f.kind, 0) for f in lab.faults if f.node == node.name), default=0)
    if size_bytes:
        banner.write_text("Authorised users only.\n" * (size_bytes // 23), encoding="ascii")
    else:
        banner.unlink(missing_ok=True)
    path = _etc_ssh(lab, node) / "sshd_config"
    path.write_text(
        "".join(f"{line}\n" for line in lines) + machine_files.sshd_config(lab, node.name), encoding="utf-8"
    )
    sshd.restart(node)


def _change_host_keys(lab: Lab, fault: Fault) -> None:
    node = machine_of(lab, fault.node)
    folder = _etc_ssh(lab, node)
    for path in sorted([*folder.glob("ssh_host_*_key"), *folder.glob("ssh_host_*_key.pub")]):
        path.rename(_before(path, fault))
    machine_files.write_host_keys(folder, node.name, machine_files.new_host_keys())
    configure(lab, fault)


def _restore_host_keys(lab: Lab, fault: Fault) -> None:
    suffix = _BEFORE.format(kind=fault.kind)
    for path in sorted(_etc_ssh(lab, machine_of(lab, fault.node)).glob(f"ssh_host_*{suffix}")):
        path.replace(path.with_name(path.name.removesuffix(suffix)))
    configure(lab, fault)


def _before(path: Path, fault: Fault) -> Path:
    """Name what a file is kept as while the fault lasts; each kind of fault keeps its own."""
    return path.with_name(path.name + _BEFORE.format(kind=fault.kind))


def _spoil_start_up(lab: Lab, fault: Fault) -> None:
    path = lab.home(fault.node) / ".bashrc"
    if path.exists():
        path.rename(_before(path, fault))
    path.write_text(_START_UP[fault.kind], encoding="ascii")
    os.chown(path, lab.uid, lab.uid)


def _restore_start_up(lab: Lab, fault: Fault) -> None:
    path = lab.home(fault.node) / ".bashrc"
    before = _before(path, fault)
    path.unlink(missing_ok=True)
    if before.exists():
        before.rename(path)


def _change_shell(lab: Lab, fault: Fault) -> None:
    name = _SHELLS[fault.kind]
    path = shutil.which(name, path="/bin:/usr/bin:/usr/sbin:/sbin")
    if path is None:
        raise UsageError(f"{name} is not installed here", remedy=f"install it with: apt-get install {name}")
    _set_shell(lab, machine_of(lab, fault.node), path)


def _restore_shell(lab: Lab, fault: Fault) -> None:
    _set_shell(lab, machine_of(lab, fault.node), machine_files.login_shell())


def _set_shell(lab: Lab, node: LabNode, path: str) -> None:
    sshd.checked(node, ["sed", "-i", rf"s|^\({lab.user}:.*\):[^:]*$|\1:{path}|", "/etc/passwd"])


def _close_logins(node: LabNode) -> None:
    sshd.checked(node, ["tee", "/etc/nologin"], "down for maintenance until noon\n")


def _open_logins(node: LabNode) -> None:
    sshd.checked(node, ["rm", "-f", "/etc/nologin"])


_HOST_KEYS = (_change_host_keys, _restore_host_keys)
_START_UP_FILE = (_spoil_start_up, _restore_start_up)
_LOGIN_SHELL = (_change_shell, _restore_shell)
_CONFIGURED = (configure, configure)
_TABLE = {
    "changed-host-key": ("has other host keys", _HOST_KEYS),
    "csh": ("the user's login shell is tcsh", _LOGIN_SHELL),
    "exiting-shell": ("the user's .bashrc exits", _START_UP_FILE),
    "impostor": (f"other host keys, and whoever comes is let in; what it sees is in {sshd.LOG}", _HOST_KEYS),
    "freezing-shell": ("the session freezes once it is open", _START_UP_FILE),
    "hanging-shell": ("the user's .bashrc waits for ever", _START_UP_FILE),
    "fish": ("the user's login shell is fish", _LOGIN_SHELL),
    "nologin": ("/etc/nologin is there", on_machine(_close_logins, _open_logins)),
    "nologin-shell": ("the user's login shell is nologin", _LOGIN_SHELL),
    "noisy-shell": ("the user's .bashrc prints 1 MB", _START_UP_FILE),
    "big-banner": ("a banner of 250 kB: {}", _CONFIGURED),
    "certificates-only": ("takes certificates of /etc/ssh/user_ca.pub alone, if that is there", _CONFIGURED),
    "few-tries": ("hangs up after three keys: {}", _CONFIGURED),
    "force-command": ("runs another command than was asked: {}", _CONFIGURED),
    "huge-banner": ("a banner of 1 MB, which ends sshd: {}", _CONFIGURED),
    "key-refused": ("takes no key: {}", _CONFIGURED),
    "keys-elsewhere": ("looks for keys in another place: {}", _CONFIGURED),
    "max-sessions": ("one session a connection: {}", _CONFIGURED),
    "max-startups": ("one login at a time: {}", _CONFIGURED),
    "no-forwarding": ("forwards nothing: {}", _CONFIGURED),
    "no-sessions": ("no session at all: {}", _CONFIGURED),
}
LOGIN_FAULTS = {
    kind: FaultKind(summary.format(_SETTINGS.get(kind)), *steps) for kind, (summary, steps) in _TABLE.items()
}
