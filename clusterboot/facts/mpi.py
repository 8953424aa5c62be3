"""The MPIs that a non-interactive shell can start."""

from __future__ import annotations

import re
import shlex

from clusterboot.errors import UsageError
from clusterboot.facts.places import MPI_BIN, MPI_LAUNCHERS
from clusterboot.facts.records import Mpi, MpiKind
from clusterboot.facts.text import PRELUDE, absolute, clean

# One file under several names (Debian's alternatives, /opt/x -> /opt/x-1.2) is one MPI: -ef
# compares inodes without a process, in dash, bash and busybox alike. Each is run once.
_SNIPPET = r"""nl='
'
found=
look() {
  for n in LAUNCHERS; do
    c=$1/$n; new=yes
    [ -f "$c" ] && [ -x "$c" ] || continue
    for f in $found; do [ "$f" -ef "$c" ] && new=; done
    [ -n "$new" ] && found=$found$c$nl
  done
}
PREFERRED
IFS=:
for d in $PATH; do IFS=$nl; case $d in /*) look "${d%/}";; esac; done
IFS=$nl
for d in PLACES; do look "$d"; done
for c in $found; do
  d=${c%/*}
  printf '\n@mpi %s\n' "$c"
  for n in mpicc.openmpi mpicc.mpich mpicc; do [ -x "$d/$n" ] && printf 'has:%s\n' $n; done
  "$c" --version 2>&1
  [ -x "$d/mpiname" ] && printf '\nmpiname:' && "$d/mpiname" -n -v
done
"""

_SIGNS: tuple[tuple[MpiKind, re.Pattern[str]], ...] = (
    ("mvapich", re.compile(r"^mpiname:\s*MVAPICH\S*\s+(?:Version\s*:?\s*)?([0-9]\S*)", re.MULTILINE)),
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


def snippet(prefix: str | None) -> str:
    """Write the snippet.

    Parameters: the MPI's prefix from the cluster file, looked at first.
    Errors: ``UsageError`` for a prefix that is not a clean absolute path.
    """
    preferred = f"look {shlex.quote(checked_path(prefix, 'mpi.prefix'))}/bin" if prefix else ":"
    body = _SNIPPET.replace("LAUNCHERS", " ".join(MPI_LAUNCHERS)).replace("PLACES", " ".join(MPI_BIN))
    return PRELUDE + body.replace("PREFERRED", preferred)


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

    Returns: the MPIs in the order in which they were found: the cluster file's prefix, PATH,
    the usual places. What does not say which MPI it is (a wrapper, a broken build) is left out.
    """
    found = []
    for part in re.split(r"^@mpi ", text, flags=re.MULTILINE)[1:]:
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
        found.append(Mpi(kind, clean(version), launcher, f"{folder}/{mpicc}" if mpicc else None))
    return tuple(found)
