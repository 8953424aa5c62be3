"""The MPIs that a non-interactive shell can start, by themselves or with a module."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from clusterboot.inventory.cluster import Options
from clusterboot.mpi.launcher import Mpi
from clusterboot.mpi.launchers import LAUNCHERS

from . import modules
from .fact import Fact
from .search_paths import MPI_BIN
from .text import PRELUDE, absolute, clean

# One file under several names (Debian's alternatives, /opt/x -> /opt/x-1.2) is one MPI: -ef
# compares inodes without a process, in dash, bash and busybox alike. Each is run once.
_SNIPPET = r"""nl='
'
found=
look() {
  names='PROGRAMS'
  LOOK
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
  for n in COMPILERS; do [ -x "$d/$n" ] && printf 'has:%s\n' $n; done
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

# What the system has is looked at before what was installed beside it.
_ROOTS = ("/usr/lib64/", "/usr/mpi/", "/usr/local/", "/")


def script(options: Options) -> str:
    """Write the script.

    Where the cluster file names a prefix or a module nothing else is looked at: another MPI of the same
    node is not the one asked for.
    """
    prefix, module = options.mpi.prefix, options.mpi.module
    traces = [launcher.traces for launcher in LAUNCHERS.values()]
    folders = [*(folder for each in traces for folder in each.folders), *MPI_BIN]
    folders.sort(key=lambda folder: next(at for at, root in enumerate(_ROOTS) if folder.startswith(root)))
    search = _EVERYWHERE.replace("PLACES", " ".join(folders))
    if module:
        search = _BY_MODULE
    if prefix:
        search = f"look {shlex.quote(prefix.rstrip('/'))}/bin"
    body = _SNIPPET.replace("LOOK", "\n  ".join(each.look for each in traces if each.look))
    body = body.replace("PROGRAMS", _words(each.programs for each in traces))
    body = body.replace("COMPILERS", _words(each.compilers for each in traces)).replace("SEARCH", search)
    return PRELUDE + (modules.load(module) if module else "") + body


def _words(groups: Iterable[tuple[str, ...]]) -> str:
    return " ".join(dict.fromkeys(word for group in groups for word in group))


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
        known = [(each, match[1]) for each in LAUNCHERS.values() if (match := each.traces.says.search(said))]
        if launcher is None or not known:
            continue
        of, version = known[0]
        compilers = set(re.findall(r"^has:(\S+)$", said, flags=re.MULTILINE))
        mpicc = next((name for name in of.traces.compilers if name in compilers), None)
        folder = launcher.rpartition("/")[0]
        env = {**of.environment(launcher), **loaded.env}
        found.append(Mpi(of.kind, clean(version), launcher, f"{folder}/{mpicc}" if mpicc else None, env))
    return tuple(found)


def problem(text: str) -> str | None:
    """Give what stood in the way of the cluster file's module, ``None`` where nothing did."""
    return modules.parse(re.split(r"^@mpi ", text, maxsplit=1, flags=re.MULTILINE)[0]).problem


FACT = Fact("mpi", script, lambda text: {"mpi": parse(text), "mpi_problem": problem(text)})
