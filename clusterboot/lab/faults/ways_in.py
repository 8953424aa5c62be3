"""Faults of the way in: a machine that wants a password or a code, or that no address leads to.

What their summaries name are files in the lab's folder, where the cluster file is.
"""

from __future__ import annotations

import secrets
import shlex
import sys
from pathlib import Path

from .. import machine, machine_files, sshd
from ..description import HEAD, Fault, Lab
from ..enter import init_of, machine_of
from . import background
from .kinds import FaultKind
from .login_faults import configure

# Each question, and the file below the machine's /etc/ssh that has the answer.
_PASSWORD = ("password", "Password: ")
_CODE = ("code", "One-time code: ")
_ASKED = {"head-otp": (_PASSWORD, _CODE), "head-password": (_PASSWORD,), "middle-hop": (_PASSWORD,)}

_MODULE = Path(__file__).with_name("pam_ask.c")
_THROUGH = Path(__file__).with_name("through.py")

# What PAM is to do stands over the outer machine's file, in the mounts of this machine alone.
_ASK = 'gcc -shared -fPIC -o "$1" -x c - && mount --bind "$2" /etc/pam.d/sshd'
_ASK_NO_MORE = 'rm -f "$1"; ! grep -q " /etc/pam.d/sshd " /proc/self/mounts || umount /etc/pam.d/sshd'


def _places(kind: str) -> list[str]:
    return [f"/run/lab/{kind}.so", f"/etc/ssh/{kind}.pam"]


def _secrets(lab: Lab, fault: Fault) -> list[Path]:
    folder = lab.folder / fault.node / "etc" / "ssh"
    return [folder / f"{fault.kind}.{name}" for name, _ in _ASKED[fault.kind]]


def _ask(lab: Lab, fault: Fault) -> None:
    """Have the machine's sshd ask, through a PAM module of the lab's own; nobody's account is changed."""
    module, stack = _places(fault.kind)
    lines = []
    for path, (_, prompt) in zip(_secrets(lab, fault), _ASKED[fault.kind], strict=True):
        # Whoever started the lab may read it, and no one inside, where root's sshd does.
        machine_files.write_file(path, secrets.token_hex(8) + "\n", 0o600, machine.owner())
        lines.append(f"auth required {module} /etc/ssh/{path.name} [{prompt}]\n")
    lines += [f"{what} required pam_permit.so\n" for what in ("account", "session")]
    machine_files.write_file(lab.folder / fault.node / stack.lstrip("/"), "".join(lines))
    argv = ["sh", "-c", _ASK, "sh", module, stack]
    sshd.checked(machine_of(lab, fault.node), argv, _MODULE.read_text(encoding="ascii"))
    configure(lab, fault)


def _ask_no_more(lab: Lab, fault: Fault) -> None:
    module, stack = _places(fault.kind)
    sshd.checked(machine_of(lab, fault.node), ["sh", "-c", _ASK_NO_MORE, "sh", module])
    for path in (*_secrets(lab, fault), lab.folder / fault.node / stack.lstrip("/")):
        path.unlink(missing_ok=True)
    configure(lab, fault)


def _hops_file(lab: Lab, fault: Fault) -> Path:
    return lab.folder / f"through-{fault.node}.yaml"


def _put_between(lab: Lab, fault: Fault) -> None:
    hops = tuple(machine_of(lab, name) for name in (HEAD, *fault.nodes))
    _ask(lab, fault)
    text = machine_files.cluster_file(lab, hops)
    machine_files.write_file(_hops_file(lab, fault), text, 0o644, machine.owner())


def _take_from_between(lab: Lab, fault: Fault) -> None:
    _hops_file(lab, fault).unlink(missing_ok=True)
    _ask_no_more(lab, fault)


def _door(lab: Lab, fault: Fault) -> Path:
    return lab.folder / f"{fault.node}.socket"


def _door_config(lab: Lab, fault: Fault) -> Path:
    return lab.folder / f"{fault.node}.ssh_config"


def _hide(lab: Lab, fault: Fault) -> None:
    """Have sshd listen to its own machine alone, and a socket outside lead to it."""
    node, owner = machine_of(lab, fault.node), machine.owner()
    configure(lab, fault)
    background.start(init_of(node), "relay", [str(_door(lab, fault)), *map(str, owner)], node.name)
    command = shlex.join([sys.executable, "-I", "-S", str(_THROUGH), str(_door(lab, fault))])
    address = lab.head_address if node.name == HEAD else node.address
    # A per cent sign begins a token: ssh_config(5), TOKENS.
    text = f"Host {address}\n    ProxyCommand {command.replace('%', '%%')}\n"
    machine_files.write_file(_door_config(lab, fault), text, 0o644, owner)


def _show(lab: Lab, fault: Fault) -> None:
    background.stop(init_of(machine_of(lab, fault.node)), "relay")
    for path in (_door(lab, fault), _door_config(lab, fault)):
        path.unlink(missing_ok=True)
    configure(lab, fault)


WAY_IN_FAULTS = {
    "head-by-proxycommand": FaultKind("reached by the ProxyCommand of NODE.ssh_config alone", _hide, _show),
    "head-otp": FaultKind(
        "takes a password and then a code alone: NODE/etc/ssh/head-otp.password, .code", _ask, _ask_no_more
    ),
    "head-password": FaultKind(
        "takes a password alone: NODE/etc/ssh/head-password.password", _ask, _ask_no_more
    ),
    "middle-hop": FaultKind(
        "takes a password alone, and stands between head and OTHER: through-NODE.yaml",
        _put_between,
        _take_from_between,
        paired=True,
    ),
}
