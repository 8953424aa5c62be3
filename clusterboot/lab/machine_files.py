"""The files of a lab: keys, what lies over each machine's /etc, and what the operator gets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .description import HEAD, PARTITION, ROOT, UID, USER, Lab, LabNode

# Where distributions put it. Source: Debian's and Fedora's openssh-server, Alpine's, Arch's.
_SFTP_SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
)

# What pam_slurm_adopt says to a user without a job on the node, at each node of a lab with Slurm: every login
# is refused, after its key was accepted. Source: Slurm's contribs/pam_slurm_adopt.
_REFUSAL = "Access denied by pam_slurm_adopt: you have no active jobs on this node\n"
_PAM_SSHD = """\
auth     required  pam_deny.so
account  optional  pam_echo.so file=/etc/ssh/refusal
account  required  pam_deny.so
"""

# Limits (MaxStartups, MaxSessions, LoginGraceTime) are not set: they stay OpenSSH's own. No PAM of the outer
# machine: its modules would want that one's services (logind, audit) inside the namespaces.
_SSHD_CONFIG = """\
Include /etc/ssh/sshd_config.d/*.conf
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
PidFile /run/sshd.pid
UsePAM {pam}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin {root}
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp {sftp}
LogLevel {log_level}
"""

_SSH_CONFIG = """\
Host *
    SendEnv LANG LC_*
    HashKnownHosts yes
"""


class KeyPair(NamedTuple):
    """An OpenSSH key pair: the private file's text, and the public line without a comment."""

    private: str
    public: str


def _new_key(kind: str = "ed25519") -> KeyPair:
    """Make a key in this process, since a process of ``ssh-keygen`` for each takes fifty times as long."""
    is_ecdsa = kind == "ecdsa"
    key = ec.generate_private_key(ec.SECP256R1()) if is_ecdsa else ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode())


def new_host_keys() -> dict[str, KeyPair]:
    """Make one machine's host keys, by kind."""
    return {kind: _new_key(kind) for kind in ("ed25519", "ecdsa")}


def write_all(lab: Lab, owner: tuple[int, int]) -> None:
    """Write every file of a lab that is about to start.

    Parameters: the lab, whose folder exists; ``owner`` is the uid and gid of whoever will use it.
    """
    logins = {"head_key": _new_key(), "node_key": _new_key()}
    # The head is pinned under the address that is dialled, a node by name and address.
    names = {HEAD: str(lab.head_address), **{n.name: f"{n.name},{n.address}" for n in lab.nodes}}
    pins = []
    _write_shared_etc(lab)
    for machine in lab.machines:
        host_keys = new_host_keys()
        pins += [f"{names[machine.name]} {key.public}\n" for key in host_keys.values()]
        login = logins["head_key" if machine.name == HEAD else "node_key"]
        _write_machine(lab, machine.name, host_keys)
        _write_home(lab.home(machine.name), login.public, lab.uid)
    for name, key in logins.items():
        write_file(lab.folder / name, key.private, 0o600, owner)
        write_file(lab.folder / f"{name}.pub", f"{key.public} {lab.name}-{name}\n", 0o644, owner)
    write_file(lab.folder / "known_hosts", "".join(pins), 0o644, owner)
    write_file(lab.cluster_file, cluster_file(lab), 0o644, owner)


def cluster_file(lab: Lab, hops: Sequence[LabNode] = ()) -> str:
    """Write the cluster file of a lab: a dstack SSH fleet, or a partition of Slurm's.

    Parameters: the machines that a fleet is reached through in place of the head alone, and which are
    then none of its hosts.
    """
    if lab.slurm:
        return _slurm_cluster_file(lab)
    count = len(lab.nodes)
    hosts = "n1" if count == 1 else f"n[1-{count}]"
    if hops:
        hosts = "\n    - ".join(node.name for node in lab.nodes if node not in hops)
    ways = [_hop(lab, hop, "    - " if hops else "    ") for hop in hops or (lab.head,)]
    return f"""\
# A lab on this machine, written by lab.up and removed by lab.down.
type: fleet
name: {lab.name}
placement: cluster
ssh_config:
  user: {lab.user}
  identity_file: {_quoted(lab.folder / "node_key")}
  hosts:
    - {hosts}
  network: {lab.network}
  proxy_jump:
{"".join(ways)}\
clusterboot:
  trust:
    known_hosts: {_quoted(lab.folder / "known_hosts")}
"""


def _hop(lab: Lab, hop: LabNode, first: str) -> str:
    address, key = (lab.head_address, "head_key") if hop.name == HEAD else (hop.address, "node_key")
    lines = [f"hostname: {address}", "port: 22", f"user: {lab.user}"]
    lines.append(f"identity_file: {_quoted(lab.folder / key)}")
    return first + f"\n{' ' * len(first)}".join(lines) + "\n"


def _slurm_cluster_file(lab: Lab) -> str:
    return f"""\
# A lab on this machine, written by lab.up and removed by lab.down.
type: slurm
name: {lab.name}
slurm:
  partition: {PARTITION}
  login:
    hostname: {lab.head_address}
    port: 22
    user: {lab.user}
    identity_file: {_quoted(lab.folder / "head_key")}
clusterboot:
  trust:
    known_hosts: {_quoted(lab.folder / "known_hosts")}
"""


def _quoted(path: Path) -> str:
    # A single-quoted YAML scalar has one escape: the quote, doubled.
    return "'" + str(path).replace("'", "''") + "'"


def hosts_text(addresses: Mapping[str, str]) -> str:
    """Write the /etc/hosts that all machines of a lab have, from their addresses by name."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {name}" for name, address in addresses.items()]
    return "\n".join(lines) + "\n"


def login_shell() -> str:
    """Give the login shell that all users of a lab have."""
    return "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"


def sshd_config(lab: Lab, name: str) -> str:
    """Write the settings of the sshd of a lab's machine ``name``."""
    sftp = next((path for path in _SFTP_SERVERS if Path(path).exists()), "internal-sftp")
    refuses = refuses_logins(lab, name)
    return _SSHD_CONFIG.format(
        sftp=sftp,
        root="prohibit-password" if lab.user == ROOT else "no",
        pam="yes" if refuses else "no",
        log_level="VERBOSE" if refuses else "INFO",
    )


def refuses_logins(lab: Lab, name: str) -> bool:
    """Say whether the sshd of a machine refuses its user: on the nodes that Slurm has."""
    return lab.slurm and name != HEAD


def write_host_keys(folder: Path, name: str, host_keys: Mapping[str, KeyPair]) -> None:
    """Write a machine's host keys into what is its /etc/ssh."""
    for kind, key in host_keys.items():
        write_file(folder / f"ssh_host_{kind}_key", key.private, 0o600)
        write_file(folder / f"ssh_host_{kind}_key.pub", f"{key.public} root@{name}\n")


def _write_shared_etc(lab: Lab) -> None:
    """Write what is the same in the /etc of all machines: users, names, and no service outside."""
    shell = login_shell()
    nobody = "/nonexistent:/usr/sbin/nologin"
    # A '*' cannot be logged in to with a password; '!' would also lock the account for keys.
    texts = {
        "passwd": f"root:x:0:0:root:/root:{shell}\ndaemon:x:1:1:daemon:{nobody}\n"
        f"sshd:x:74:65534:sshd:{nobody}\nnobody:x:65534:65534:nobody:{nobody}\n"
        f"{USER}:x:{UID}:{UID}:{USER}:/home/{USER}:{shell}\n",
        "group": f"root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n{USER}:x:{UID}:\n",
        "shadow": "".join(f"{u}:*:19000:0:99999:7:::\n" for u in ("root", "daemon", "sshd", "nobody", USER)),
        "gshadow": "".join(f"{group}:*::\n" for group in ("root", "daemon", "tty", "nogroup", USER)),
        "hosts": hosts_text({machine.name: machine.address for machine in lab.machines}),
        "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
        "resolv.conf": "",
    }
    folder = make_folder(lab.folder / "etc")
    for name, text in texts.items():
        write_file(folder / name, text, 0o640 if "shadow" in name else 0o644)


def _write_machine(lab: Lab, name: str, host_keys: Mapping[str, KeyPair]) -> None:
    own = make_folder(make_folder(lab.folder / name) / "etc")
    ssh = make_folder(own / "ssh")
    write_file(own / "hostname", name + "\n")
    write_file(own / "machine-id", secrets.token_hex(16) + "\n", 0o444)
    make_folder(ssh / "sshd_config.d")
    write_file(ssh / "sshd_config", sshd_config(lab, name))
    if refuses_logins(lab, name):
        write_file(ssh / "refusal", _REFUSAL)
        write_file(make_folder(own / "pam.d") / "sshd", _PAM_SSHD)
    write_file(ssh / "ssh_config", _SSH_CONFIG)
    write_host_keys(ssh, name, host_keys)


def _write_home(home: Path, public: str, uid: int) -> None:
    if home.exists():
        return
    (home / ".ssh").mkdir(parents=True)
    write_file(home / ".ssh" / "authorized_keys", public + " operator\n", 0o600, (uid, uid))
    for folder, mode in ((home, 0o750), (home / ".ssh", 0o700)):
        os.chown(folder, uid, uid)
        folder.chmod(mode)


def make_folder(path: Path) -> Path:
    """Make a folder of a lab that everybody may look into."""
    path.mkdir()
    path.chmod(0o755)  # Whatever the umask of who starts the lab.
    return path


def write_file(
    path: Path, content: str | bytes, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Write a new file of a lab with its mode and owner."""
    # Never readable by others for a moment: created with its mode, and given away before it has content.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        if owner:
            os.fchown(descriptor, *owner)
        file.write(content.encode() if isinstance(content, str) else content)
