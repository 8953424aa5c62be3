"""Starts the machines of a lab; a program of its own, on nothing but the standard library.

It is one program for all machines, and forks them, because that is what makes a lab of
256 nodes quick: a machine costs two forks and a dozen system calls, not thirty processes.

It first leaves the root directory that it was started in for a copy of it (``_make_own_root``), of
which each machine then gets its own.

Its standard input has one line, the order (see ``_main``), and later the line ``go``. Its
standard output has one JSON line with the pids of the inits once all namespaces are there,
and one with what failed once all machines are up. Where either side goes away in between,
so do the machines: nobody is left who could have recorded them.

Each machine's process 1 ends up as ``sleep infinity`` with SIGCHLD ignored, which makes the
kernel reap whatever is orphaned to it (wait(2), NOTES): no zombie piles up, and sshd may come
and go without the namespace ending with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

# Source: linux/sched.h and linux/mount.h; Python has the first ones only from 3.12 on.
_NEW_MOUNTS = 0x00020000
_NEW_NAMESPACES = _NEW_MOUNTS | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000  # UTS IPC PID NET
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_MOVE, _MS_REC, _MS_PRIVATE = 32, 4096, 8192, 16384, 1 << 18
_MNT_DETACH = 2

# mount_setattr(2), Linux 5.12: the number is the same on all architectures but alpha.
_SYS_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, 0x8000, 1

_LISTENING_WITHIN_S = 120.0
_LIBC = ctypes.CDLL(None, use_errno=True)


def _main() -> int:
    """Read the order and carry it out.

    ``order``: ``hide`` is the folder that no machine may see; ``machines`` a list, each with
    ``hostname``, ``sysctl`` (path below /proc/sys to value) and, but for the switch, ``etc`` (folders
    laid over /etc, the first wins), ``binds`` (pairs: a folder, and where the machine has it), ``tmpfs``
    (empty folders that it has besides), ``ip`` and ``tc`` (batch text); ``tools`` the absolute paths of
    ``ip``, ``tc``, ``sshd`` and ``sleep``.
    """
    os.umask(0o022)
    os.chdir("/")
    order = json.loads(sys.stdin.readline())
    try:
        _make_own_root()
    except OSError as error:
        _answer({"pids": [], "failed": [str(error)]})
        return 1
    count = len(order["machines"])
    go_read, go_write = os.pipe()
    report_read, report_write = os.pipe()
    for number, machine in enumerate(order["machines"]):
        if os.fork() == 0:
            os.close(go_write)
            os.close(report_read)
            _enter(number, machine, order, go_read, report_write)
    os.close(report_write)
    with os.fdopen(report_read, encoding="utf-8", errors="replace") as reports:
        for _ in range(count):
            os.wait()
        ready = [reports.readline().split(maxsplit=2) for _ in range(2 * count)]
        failed = [words[2] for words in ready if len(words) > 2 and words[0] == "failed"]
        pids = {int(words[1]): int(words[2]) for words in ready if len(words) > 2 and words[0] == "pid"}
        _answer({"pids": [pids.get(number, 0) for number in range(count)], "failed": failed})
        if failed or sys.stdin.readline() != "go\n":
            return 1
        os.write(go_write, b"g" * count)
        done = [reports.readline().split(maxsplit=2) for _ in range(count)]
        failed = [words[2] if len(words) > 2 else "ended early" for words in done if words[:1] != ["up"]]
    _answer({"failed": failed})
    return 1 if failed else 0


def _answer(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _enter(number: int, machine: dict[str, Any], order: dict[str, Any], go: int, report: int) -> NoReturn:
    """Make the machine's namespaces, start its process 1 in them, say its pid, and end."""
    try:
        _call("unshare", _LIBC.unshare(_NEW_NAMESPACES))
        pid = os.fork()
    except OSError as error:
        # Both lines, since two are waited for from each machine.
        _report(report, "failed", number, f"{machine['hostname']}: {error}")
        _report(report, "failed", number, f"{machine['hostname']}: {error}")
        os._exit(1)
    if pid:
        _report(report, "pid", number, str(pid))
        os._exit(0)
    try:
        _boot(number, machine, order, go, report)
    except Exception as error:  # whatever it was: without a word from each machine all would wait
        _report(report, "failed", number, f"{machine['hostname']}: {error}")
    os._exit(1)


def _boot(number: int, machine: dict[str, Any], order: dict[str, Any], go: int, report: int) -> None:
    tools = order["tools"]
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    socket.sethostname(machine["hostname"])
    _make_mounts(machine, order["hide"])
    for path, value in machine["sysctl"].items():
        Path("/proc/sys", path).write_bytes(value.encode())
    _report(report, "ready", number, "-")
    if os.read(go, 1) != b"g":
        os._exit(1)
    if "etc" in machine:
        _run([tools["ip"], "-batch", "-"], machine["ip"])
        _run([tools["tc"], "-batch", "-"], machine["tc"])
        _run([tools["sshd"], "-E", "/run/sshd.log"], "")
        _wait_for(Path("/run/sshd.pid"))
    _report(report, "up", number, "-")
    os.closerange(3, 1024)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.execve(tools["sleep"], ["sleep", "infinity"], {})  # noqa: S606


def _make_mounts(machine: dict[str, Any], hide: str) -> None:
    """Give the machine its own view of the files: /usr is shared, whatever it writes is its own."""
    # Opened before anything is covered: a lab's folder may be below /tmp, /home or /root.
    sources = [os.open(path, os.O_PATH) for path in machine.get("etc", [])]
    binds = [(os.open(source, os.O_PATH), target) for source, target in machine.get("binds", [])]
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _mount("sysfs", "/sys", "sysfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    if "etc" not in machine:
        return
    _tmpfs("/run", "755")
    for name in ("sshd", "lock", "lab", "lab/upper", "lab/work"):
        Path("/run", name).mkdir(mode=0o755)
    layers = ":".join([*(f"/proc/self/fd/{source}" for source in sources), "/etc"])
    _mount(
        "overlay", "/etc", "overlay", 0, f"lowerdir={layers},upperdir=/run/lab/upper,workdir=/run/lab/work"
    )
    Path("/run/lab").chmod(0o700)
    for path, mode in (("/tmp", "1777"), ("/var/tmp", "1777"), ("/dev/shm", "1777"), ("/root", "700")):  # noqa: S108
        _tmpfs(path, mode)
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,mode=620,gid=5,ptmxmode=666")
    for path in ("/home", *machine["tmpfs"]):
        _tmpfs(path, "755")
    for source, target in binds:
        # Over a folder of /etc, not below it: the outer machine's own keys must not show through.
        Path(target).mkdir(exist_ok=True)
        _bind(source, target)
    # Where the lab's folder can still be reached, close it: the other homes and keys are not the node's.
    if Path(hide).is_dir():
        _mount("tmpfs", hide, "tmpfs", _MS_RDONLY, "mode=000")


def _make_own_root() -> None:
    """Go into a mount namespace that has this process's root directory as its own, to read only.

    Who enters a mount namespace is put into that namespace's root directory: setns(2). In a chroot that
    is not this process's, but the outer machine's. So the chroot's folder is bound, which makes a mount
    of it, and that is made the root.
    """
    _call("unshare", _LIBC.unshare(_NEW_MOUNTS))
    root = os.open("/", os.O_PATH)
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    # From inside a chroot the mount that it lies on has no name; from the namespace's root all are made
    # private, without which the next one would appear on the outer machine, too.
    _call("setns", _LIBC.setns(own, _NEW_MOUNTS))
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    os.fchdir(root)
    # On any folder that there is: it is the root a moment later.
    _mount(".", "proc", None, _MS_BIND | _MS_REC)
    os.chdir("proc")
    if _LIBC.pivot_root(b".", b".") == 0:
        _call("umount of the outer root", _LIBC.umount2(b".", _MNT_DETACH))
    else:
        # A machine that runs in its initial RAM file system cannot leave that: it is covered.
        _mount(".", "/", None, _MS_MOVE)
        os.chroot(".")
    os.chdir("/")
    _make_read_only()


def _make_read_only() -> None:
    """Take from a machine, root in it included, every means to change the outer machine's files."""
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    arguments = (ctypes.c_int(-1), b"/", _AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes)))
    _call("mount_setattr (Linux 5.12)", _LIBC.syscall(_SYS_MOUNT_SETATTR, *arguments))


def _bind(source: int, target: str) -> None:
    # The copy of a mount is read-only where the mount is; this one is the machine's own.
    _mount(f"/proc/self/fd/{source}", target, None, _MS_BIND)
    _mount("none", target, None, _MS_REMOUNT | _MS_BIND)


def _tmpfs(path: str, mode: str) -> None:
    _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [text.encode() if text is not None else None for text in (source, target, kind, data)]
    result = _LIBC.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])
    _call(f"mount of {kind or source} on {target}", result)


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _run(argv: list[str], text: str) -> None:
    # The session that started the lab is none of the nodes' business: they get no more than a PATH.
    # UTF-8 and no other encoding: from here on Python's own library may be out of sight, as below /root.
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    result = subprocess.run(
        argv, input=text, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env
    )
    if result.returncode != 0:
        said = " ".join((result.stderr + result.stdout).split())
        raise OSError(f"{argv[0]} ended with {result.returncode}: {said}")


def _wait_for(path: Path) -> None:
    # sshd writes it once it listens, and has no other way to say so that all its versions know.
    deadline = time.monotonic() + _LISTENING_WITHIN_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("sshd does not listen")
        time.sleep(0.002)


def _report(pipe: int, word: str, number: int, text: str) -> None:
    # One write of less than PIPE_BUF bytes is never mixed with another's: pipe(7).
    with contextlib.suppress(BrokenPipeError):
        os.write(pipe, f"{word} {number} {' '.join(text.split())[:1000]}\n".encode())


if __name__ == "__main__":
    sys.exit(_main())
