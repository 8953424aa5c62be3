"""The home directory, and whether two nodes see the same one."""

from __future__ import annotations

import os
import re

from clusterboot.nodes.script import Section

from .fact import Fact
from .node import Home
from .text import PRELUDE, absolute, clean, integer, pairs

# bash takes "${at%/}"/* for no match where the expansion is empty: hence the variable.
# The kernel escapes blanks in mount points, so those with a backslash all go along.
_SCRIPT = (
    PRELUDE
    + r"""cd -P "$HOME" || exit 0
printf 'path:%s\nreal:%s\n' "$HOME" "$PWD"
show /proc/sys/kernel/random/boot_id
printf 'stat:'; stat -c '%d:%i' . || printf '\n'
printf 'inode:'; command -v stat >/dev/null && printf '\n' || ls -di .
while read -r a b dev root at rest; do
  above=${at%/}
  case $PWD/ in "$above"/*) ;; *) case $at in *\\*) ;; *) continue;; esac;; esac
  printf 'mount:%s\n' "$a $b $dev $root $at $rest"
done </proc/self/mountinfo
"""
)

# File systems that several machines can mount at once; each ``fuse.*`` counts as one too.
NETWORK_FILE_SYSTEMS = frozenset(
    (
        *(
            "9p",
            "afs",
            "autofs",
            "beegfs",
            "ceph",
            "cifs",
            "coda",
            "cvfs",
            "dvs",
            "gfs2",
            "glusterfs",
            "gpfs",
        ),
        *("lustre", "mmfs", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "quobyte", "smb3"),
        *("smbfs", "virtiofs", "weka", "wekafs"),
    )
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.lxcfs", "fuse.portal"})
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_OCTAL = re.compile(r"\\([0-7]{3})")
_NFS_SERVER = re.compile(r"(?:^|,)addr=([0-9A-Fa-f.:%]+)")


def parse(text: str) -> Home | None:
    """Read the home section.

    Returns: the home, ``None`` where there is no such directory or it cannot be told apart.
    ``identity`` is equal for two nodes exactly where they see one directory. Nodes of one
    boot id run on one kernel, whose device and inode numbers are exact. Otherwise a local
    file system is never shared, and a network one is the same where type, server, path
    on the server and inode are.
    Source: proc_pid_mountinfo(5), stat(2).
    """
    said: dict[str, str] = {}
    mounts: list[list[str]] = []
    for key, value in pairs(text):
        if key == "mount":
            mounts.append(value.split(" "))
        else:
            said.setdefault(key, value)
    path, real = absolute(said.get("path", "")), said.get("real", "")
    device, _, inode_text = said.get("stat", "").partition(":")
    inode = integer(inode_text) or integer(said.get("inode", "").split(" ")[0])
    mount = _mount_of(real, mounts)
    if path is None or inode is None:
        return None
    fs_type = clean(mount.get("type", "")) or "unknown"
    if fs_type in NETWORK_FILE_SYSTEMS or (fs_type.startswith("fuse.") and fs_type not in _LOCAL_FUSE):
        return Home(path, fs_type, clean(f"{fs_type.rstrip('4')}:{_remote_path(real, mount)}:{inode}"))
    boot = said.get(_BOOT_ID)
    number = integer(device) if integer(device) is not None else _device_number(mount.get("device", ""))
    if not boot or number is None:
        return None
    return Home(path, fs_type, clean(f"boot:{boot}:{number}:{inode}"))


def boot_id(text: str) -> str | None:
    """Read which boot of which kernel the node runs on, out of the home section.

    Nodes that are namespaces or containers of one machine have the same.
    Source: random(4), /proc/sys/kernel/random/boot_id.
    """
    return next((clean(value) for key, value in pairs(text) if key == _BOOT_ID), None) or None


def _device_number(text: str) -> int | None:
    """Give what stat(2) has for ``major:minor``."""
    major_text, _, minor_text = text.partition(":")
    major, minor = integer(major_text), integer(minor_text)
    if major is None or minor is None or not 0 <= minor < 2**20 or not 0 <= major < 2**12:
        return None
    return os.makedev(major, minor)


def _mount_of(path: str, lines: list[list[str]]) -> dict[str, str]:
    """Find the mount that ``path`` is on: the deepest, of equals the last, which hides the others."""
    best: dict[str, str] = {}
    for fields in lines:
        if len(fields) < 10 or "-" not in fields[6:]:
            continue
        after = fields[fields.index("-", 6) + 1 :]
        if len(after) < 3:
            continue
        mount = {
            "device": fields[2],
            "root": _unescape(fields[3]),
            "at": _unescape(fields[4]).rstrip("/"),
            "type": after[0],
            "source": _unescape(after[1]),
            "options": after[2],
        }
        if f"{path}/".startswith(f"{mount['at']}/") and len(mount["at"]) >= len(best.get("at", "")):
            best = mount
    return best


def _remote_path(path: str, mount: dict[str, str]) -> str:
    """Say where ``path`` is for the server, so that mounts of different depth compare equal."""
    source = mount["source"]
    _, colon, exported = source.partition(":/")
    address = _NFS_SERVER.search(mount["options"])
    if colon and address and mount["type"].startswith("nfs"):
        source = f"{address[1]}:/{exported}"
    if not colon:
        return source
    inner = mount["root"].rstrip("/") + path[len(mount["at"]) :]
    return (source.rstrip("/") + inner).rstrip("/")


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


#: For who asks for the home alone.
SECTION = Section("facts.home", _SCRIPT)
FACT = Fact("home", _SCRIPT, lambda text: {"home": parse(text), "boot_id": boot_id(text)})
