"""The MPIs that a non-interactive shell can start, by themselves or with a module."""

from __future__ import annotations

import re
import shlex

from clusterboot.errors import UsageError
from clusterboot.inventory.cluster import MpiKind

from . import modules
from .node import Mpi
from .search_paths import MPI_BIN, MPI_LAUNCHERS
from .text import PRELUDE, absolute, clean

# One file under several names (Debian's alternatives, /opt/x -> /opt/x-1.2) is one MPI: -ef
# compares inodes without a process, in dash, bash and busybox alike. Each is run once.
# Intel's mpirun finds its mpiexec.hydra by PATH, which can be another MPI's, unless a script beside
# it says where it is installed; a package index's wheel has no such script. MVAPICH, which is not
# supported and alone has an mpiname, would be taken for MPICH, whose launcher it has.
_SNIPPET = r"""nl='
'
found=
look() {
  [ -x "$1/mpiname" ] && return
  names='LAUNCHERS'
  [ -x "$1/hydra_bstrap_proxy" ] && ! [ -f "$1/mpivars.sh" ] && ! [ -f "$1/../env/vars.sh" ] &&
    ! [ -f "$1/../setvars.sh" ] && names=mpiexec.hydra
  IFS=' '
  for n in $names; do
    c=$1/$n; new=yes
    [ -f "$c" ] && [ -x "$c" ] || continue
    IFS=$nl
    for f in $found; do [ "$f" -ef "$c" ] && new=; done
    [ -n "$new" ] && found=$found$c$nl
  done
  IFS=$nl
}
SEARCH
IFS=$nl
for c in $found; do
  d=${c%/*}
  printf '\n@mpi %s\n' "$c"
  for n in mpicc.openmpi mpicc.mpich mpicc; do [ -x "$d/$n" ] && printf 'has:%s\n' $n; done
  "$c" --version 2>&1
done
"""
_EVERYWHERE = r"""IFS=:
for d in $PATH; do case $d in /*) look "${d%/}";; esac; IFS=:; done
IFS=$nl
for d in PLACES; do look "$d"; done"""
# What a module brings is in the directories that it put on PATH.
_BY_MODULE = r"""IFS=:
for d in $PATH; do
  case ":$path_before:" in *":$d:"*) ;; *) case $d in /*) look "${d%/}";; esac;; esac
  IFS=:
done"""

_SIGNS: tuple[tuple[MpiKind, re.Pattern[str]], ...] = (
    ("openmpi", re.compile(r"^mpi(?:run|exec)\S* \((?:Open MPI|OpenRTE)\) ([0-9]\S*)", re.MULTILINE)),
    (
        "intelmpi",
        re.compile(r"^Intel\(R\) MPI Library for Linux\S* OS, Version ([0-9].*?) Build", re.MULTILINE),
    ),
    ("mpich", re.compile(r"^HYDRA build details:\s*\n\s*Version:\s*([0-9]\S*)", re.MULTILINE)),
)
# Debian installs compilers under these names; the plain one may belong to another MPI.
_COMPILERS: dict[str, tuple[str, ...]] = {
    "openmpi": ("mpicc.openmpi", "mpicc"),
    "mpich": ("mpicc.mpich", "mpicc"),
}


def snippet(prefix: str | None, module: str | None = None) -> str:
    """Write the snippet.

    Parameters: the MPI's prefix and its environment module from the cluster file. Where one is
    named nothing else is looked at: another MPI of the same node is not the one asked for.
    Errors: ``UsageError`` for a prefix that is not a clean absolute path.
    """
    search = _EVERYWHERE.replace("PLACES", " ".join(MPI_BIN))
    if module:
        search = _BY_MODULE
    if prefix:
        search = f"look {shlex.quote(checked_path(prefix, 'mpi.prefix').rstrip('/'))}/bin"
    body = _SNIPPET.replace("LAUNCHERS", " ".join(MPI_LAUNCHERS)).replace("SEARCH", search)
    return PRELUDE + (modules.load(module) if module else "") + body


def checked_path(path: str, option: str) -> str:
    """Give ``path`` without a last slash.

    Errors: ``UsageError`` naming ``option`` where it is not absolute or not printable.
    """
    if absolute(path) is None:
        raise UsageError(
            f"clusterboot.{option} {path!r} is no absolute path",
            stage="facts",
            remedy="write the path as it is on the nodes, from / on",
        )
    return path.rstrip("/") or "/"


def parse(text: str) -> tuple[Mpi, ...]:
    """Read the MPI section.

    Returns: the MPIs in the order in which they were found: the cluster file's prefix, or PATH,
    then the usual places; each with what its module changed in the environment. What does not
    say which MPI it is (a wrapper, a broken build) is left out.
    """
    before, *parts = re.split(r"^@mpi ", text, flags=re.MULTILINE)
    loaded = modules.parse(before)
    found = []
    for part in parts:
        path, _, said = part.partition("\n")
        launcher = absolute(path)
        kind, version = next(
            ((kind, match[1]) for kind, pattern in _SIGNS if (match := pattern.search(said))), (None, "")
        )
        if launcher is None or kind is None:
            continue
        compilers = set(re.findall(r"^has:(mpicc\S*)$", said, flags=re.MULTILINE))
        mpicc = next((name for name in _COMPILERS.get(kind, ("mpicc",)) if name in compilers), None)
        folder = launcher.rpartition("/")[0]
        env = dict(loaded.env)
        if kind == "intelmpi" and launcher.endswith("/mpiexec.hydra"):
            env.setdefault("I_MPI_ROOT", folder.rpartition("/")[0])
        found.append(Mpi(kind, clean(version), launcher, f"{folder}/{mpicc}" if mpicc else None, env))
    return tuple(found)


def problem(text: str) -> str | None:
    """Give what stood in the way of the cluster file's module, ``None`` where nothing did."""
    return modules.parse(re.split(r"^@mpi ", text, maxsplit=1, flags=re.MULTILINE)[0]).problem
