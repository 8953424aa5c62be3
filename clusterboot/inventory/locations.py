"""Where things are: the operator's home, the cluster file to use, the folder for state."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterboot.errors import UsageError

from .name_rules import check_cluster_name
from .problems import RuleError

LAB = "lab"
_VARIABLE = "CLUSTERBOOT_CLUSTER"
_RESULTS = "CLUSTERBOOT_RESULTS"
_DEFAULT = "cluster.yaml"
_DSTACK = "*.dstack.yml"


@dataclass(frozen=True)
class Operator:
    """Whoever runs clusterboot, on which machine, with which environment."""

    home: Path
    user: str
    uid: int
    hostname: str
    environ: Mapping[str, str]

    @classmethod
    def here(cls, environ: Mapping[str, str]) -> Operator:
        """Find out: the home from ``$HOME``, the login name from the password database."""
        uid = os.getuid()
        try:
            entry = pwd.getpwuid(uid)
            user, home = entry.pw_name, entry.pw_dir
        except KeyError:  # a container's made-up user
            user, home = environ.get("LOGNAME") or environ.get("USER") or str(uid), "/"
        wanted = environ.get("HOME", "")
        home = wanted if wanted.startswith("/") else home
        return cls(Path(home), user, uid, socket.gethostname(), environ)

    def path(self, text: str, *, base: Path | None = None) -> Path:
        """Make a path of ``text``: ``~`` and ``~user`` are homes, what is relative is under ``base``.

        Errors: :class:`RuleError` for a user that is not known here.
        """
        if not text.startswith("~"):
            return (base / text) if base else Path(text)
        name, _, rest = text[1:].partition("/")
        try:
            home = Path(pwd.getpwnam(name).pw_dir) if name else self.home
        except KeyError:
            raise RuleError(f"there is no user '{name}' here", "write the path in full") from None
        return home / rest.lstrip("/")


def named_config(environ: Mapping[str, str]) -> Path | None:
    """Give the file that ``$CLUSTERBOOT_SSH_CONFIG`` puts in the place of the user's and the system's."""
    named = environ.get("CLUSTERBOOT_SSH_CONFIG")
    return Path(named).absolute() if named else None


def config_for_ssh(environ: Mapping[str, str]) -> Path | None:
    """Give the file that ``ssh`` has to be told to read; ``None`` where it finds the right ones itself.

    It takes the home from the password database, and clusterboot takes it from ``$HOME``.
    """
    named, home = named_config(environ), Operator.here(environ).home
    if named is not None or home == _home_of_record():
        return named
    own = home / ".ssh/config"
    return own if own.is_file() else Path("/etc/ssh/ssh_config")


def _home_of_record() -> Path | None:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def find(explicit: str | None, *, cwd: Path, environ: Mapping[str, str], running_lab: Path | None) -> Path:
    """Find the cluster file that a command means.

    Parameters: the value of ``--cluster``; the folder it runs in; its environment; the
    running lab's file where a lab runs.
    Returns: what ``--cluster`` or ``$CLUSTERBOOT_CLUSTER`` names (``lab`` is the running
    lab), else ``cluster.yaml``, else the only ``*.dstack.yml``, else the running lab.
    Errors: ``UsageError`` where there is none of these.
    """
    named = explicit or environ.get(_VARIABLE)
    if named == LAB:
        if running_lab is None:
            raise UsageError("no lab is running", remedy="start one with 'invoke lab.up'")
        return running_lab
    if named:
        try:
            return Operator.here(environ).path(named, base=cwd)
        except RuleError as error:
            raise UsageError(f"--cluster: {error.cause}", remedy=error.remedy) from None
    default = cwd / _DEFAULT
    # One that cannot be looked at is there: reading it says why not.
    if os.path.lexists(default):
        return _own(default, environ)
    fleets = sorted(cwd.glob(_DSTACK))
    if len(fleets) == 1:
        return _own(fleets[0], environ)
    if running_lab is not None:
        return running_lab
    several = f"; {len(fleets)} files here end in .dstack.yml" if fleets else ""
    raise UsageError(
        f"no cluster file{several}",
        remedy=f"give --cluster PATH, set {_VARIABLE}, have {_DEFAULT} or one {_DSTACK} in this folder, "
        "or start a lab with 'invoke lab.up'",
    )


def results_root(
    explicit: str | None, *, cwd: Path, environ: Mapping[str, str], cluster_file: Path | None, labs: Path
) -> Path:
    """Name the folder below which results and hostfiles go.

    Parameters: the value of ``--results-dir``; the folder it runs in; its environment; the cluster
    file, ``None`` where there is none; the folder of all labs.
    Returns: what ``--results-dir`` or ``$CLUSTERBOOT_RESULTS`` names, else the cluster file's own
    folder. A lab's file is no place to keep anything beside: of that it is the folder it runs in.
    Errors: ``UsageError`` where that is the root of all files.
    """
    named = explicit or environ.get(_RESULTS)
    if named:
        try:
            return Operator.here(environ).path(named, base=cwd)
        except RuleError as error:
            raise UsageError(f"--results-dir: {error.cause}", remedy=error.remedy) from None
    if cluster_file is not None and not (cwd / cluster_file).is_relative_to(labs):
        return (cwd / cluster_file).parent
    if cwd == Path(cwd.anchor):
        raise UsageError(
            "results and hostfiles would go into /",
            remedy=f"give --results-dir FOLDER, set {_RESULTS}, or change to another folder",
        )
    return cwd


def _own(path: Path, environ: Mapping[str, str]) -> Path:
    """Refuse a file that is only found where the command runs, if another user put it there or can write it.

    A cluster file says whom to log in to and what is run there. Root takes also that of who became root here.
    Errors: ``UsageError``.
    """
    trusted = {os.getuid(), 0}
    if os.getuid() == 0 and environ.get("SUDO_UID", "").isdecimal():
        trusted.add(int(environ["SUDO_UID"]))
    with contextlib.suppress(OSError):
        for found in (path.lstat(), path.stat()):
            if found.st_uid not in trusted or (stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IWOTH):
                raise UsageError(
                    f"{path} is another user's, or others can write it",
                    remedy=f"name it with --cluster if it is the one that you mean, or chmod o-w {path.name}",
                )
    return path


def state_dir(name: str, environ: Mapping[str, str]) -> Path:
    """Name the folder of a cluster's pins, journal, audit log and keys.

    Parameters: the cluster's name; the operator's environment.
    Errors: :class:`RuleError` for a name that could lead elsewhere.
    Source: XDG Base Directory Specification; a relative ``$XDG_STATE_HOME`` does not count.
    """
    check_cluster_name(name)
    wanted = environ.get("XDG_STATE_HOME", "")
    base = Path(wanted) if wanted.startswith("/") else Operator.here(environ).home / ".local/state"
    return base / "clusterboot" / name
