"""The machine itself: name, operating system, CPUs, memory, user and limits."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from clusterboot.errors import PartialError

from .fact import Fact
from .node import Limits
from .text import PRELUDE, clean, cpu_list, integer, known, pairs

# /proc/self is the section's own subshell, so affinity and limits are those that every
# command of a non-interactive login gets. dash has no `ulimit -l` that could be relied on. sshd sets
# both names of the user (session.c), which saves a process where nothing changed one of them.
_SCRIPT = (
    PRELUDE
    + r"""for f in /etc/machine-id /etc/os-release; do
  [ ! -e "$f" ] || [ -f "$f" ] || [ "$f" -ef /dev/null ] || printf 'odd:%s\n' "$f"
done
show /proc/sys/kernel/hostname /etc/machine-id /var/lib/dbus/machine-id \
  /proc/sys/kernel/osrelease /proc/sys/kernel/arch /sys/devices/system/cpu/online \
  /sys/devices/system/node/has_cpu /sys/devices/system/node/online
[ -r /proc/sys/kernel/arch ] || { printf 'uname:'; uname -snrm; }
if [ -n "$USER" ] && [ "$USER" = "$LOGNAME" ]; then printf 'user:%s\n' "$USER"
else printf 'user:'; id -un || printf '%s\n' "${USER:-$LOGNAME}"
fi
for f in /etc/os-release /usr/lib/os-release; do
  [ -f "$f" ] && [ -r "$f" ] || continue
  while IFS= read -r v; do
    case $v in PRETTY_NAME=*) printf 'os:%s\n' "${v#*=}"; break;; esac
  done <"$f"
  break
done
while read -r k v; do case $k in MemTotal:) printf 'memory:%s\n' "$v"; break;; esac; done </proc/meminfo
while read -r k v; do
  case $k in Cpus_allowed_list:) printf 'affinity:%s\n' "$v"; break;; esac
done </proc/self/status
while IFS= read -r v; do
  case $v in 'Max open files'*|'Max locked memory'*) printf 'limit:%s\n' "$v";; esac
done </proc/self/limits
seen=' '
for f in /sys/devices/system/cpu/cpu*/topology/physical_package_id; do
  read -r v <"$f" && case $seen in *" $v "*) ;; *) seen="$seen$v ";; esac
done
printf 'packages:%s\n' "$seen"
model=
while IFS= read -r v; do
  case $v in 'model name'*|'cpu	'*) model=${v#*:}; break;; '') break;; esac
done </proc/cpuinfo
if [ -n "$model" ]; then printf 'model:%s\n' "$model"
elif command -v lscpu >/dev/null; then
  lscpu | while IFS= read -r v; do
    case $v in 'Model name:'*) printf 'model:%s\n' "${v#*:}"; break;; esac
  done
fi
"""
)


def parse(text: str) -> dict[str, Any]:
    """Read the system section.

    Returns: fields of the node's record by name, ``None`` or 0 where it does not say one.
    ``cpus`` counts those this login may use and that are online; NUMA nodes are those
    with CPUs, so that the memory-only nodes of coherent GPUs do not count.
    """
    said: dict[str, str] = {}
    limits: list[str] = []
    for key, value in pairs(text):
        if key == "limit":
            limits.append(value)
        else:
            said.setdefault(key, value)
    _, name, release, machine, *_ = (*said.get("uname", "").split(), "", "", "", "")
    online = cpu_list(said.get("/sys/devices/system/cpu/online", ""))
    allowed = cpu_list(said.get("affinity", ""))
    memory_kib = integer(said.get("memory", "").partition(" ")[0])
    return {
        "hostname": known(said.get("/proc/sys/kernel/hostname") or name),
        "machine_id": known(said.get("/etc/machine-id") or said.get("/var/lib/dbus/machine-id")),
        "os": _unquote(said.get("os", "")) or "unknown",
        "kernel": known(said.get("/proc/sys/kernel/osrelease") or release),
        "arch": known(said.get("/proc/sys/kernel/arch") or machine),
        "user": clean(said.get("user", "")),
        "cpus": len(allowed & online) or len(allowed) or len(online),
        "cpu_model": known(said.get("model")),
        "sockets": _sockets(said.get("packages", "")),
        "memory_mib": max(memory_kib or 0, 0) // 1024,
        "numa_nodes": _numa_nodes(said),
        "limits": _limits(limits),
    }


def _unquote(value: str) -> str:
    """Undo the shell quoting of os-release(5)."""
    try:
        return clean(" ".join(shlex.split(value)))
    except ValueError:
        return clean(value.strip("\"'"))


def _sockets(packages: str) -> int | None:
    """Count the package ids; -1 is how a kernel says that it does not know."""
    ids = {integer(value) for value in packages.split()}
    return len({number for number in ids if number is not None and number >= 0}) or None


def _numa_nodes(said: dict[str, str]) -> int:
    with_cpus = cpu_list(said.get("/sys/devices/system/node/has_cpu", ""))
    return len(with_cpus or cpu_list(said.get("/sys/devices/system/node/online", ""))) or 1


def _limits(lines: list[str]) -> Limits:
    """Read soft limits from lines of /proc/self/limits (proc(5))."""
    soft: dict[str, str] = {}
    for line in lines:
        name, value, *_ = (*re.split(r"\s{2,}", line.strip()), "", "")
        soft[name] = value
    memlock, files = soft.get("Max locked memory"), soft.get("Max open files")
    memlock_bytes = integer(memlock)
    return Limits(
        memlock_kib=None if memlock_bytes is None else memlock_bytes // 1024,
        open_files=integer(files),
        known=all(value == "unlimited" or integer(value) is not None for value in (memlock, files)),
    )


# What every Linux node says of itself: fields of the record, and what people call them.
_ESSENTIAL = {
    "hostname": "hostname",
    "kernel": "kernel",
    "arch": "architecture",
    "cpus": "CPUs",
    "memory_mib": "memory",
}


def _read(text: str) -> Mapping[str, object]:
    """Give the record's fields.

    Errors: :class:`PartialError` where hostname, kernel, architecture, CPUs or memory are missing: such
    an answer is not a Linux node's; also where a file is none.
    """
    odd = known(next((value for key, value in pairs(text) if key == "odd"), None))
    if odd:
        raise PartialError(
            f"{odd} is no regular file: a FIFO, a device or a socket",
            stage="facts",
            remedy="remove it, or put the file back that belongs there",
        )
    found = parse(text)
    missing = [word for name, word in _ESSENTIAL.items() if not found[name]]
    if missing:
        raise PartialError(
            f"the node did not say its {', '.join(missing)}",
            stage="facts",
            remedy="check that it runs Linux with /proc mounted and that its shell ends cleanly",
        )
    return found


FACT = Fact("system", _SCRIPT, _read)
