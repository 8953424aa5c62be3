"""What a node must have so that a launcher elsewhere can start ranks on it: looked at before the launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from clusterboot.mpi.launcher import Mpi
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.nodes.script import Section, SectionOutput

# ldd is the loader's own word, under the very environment that the ranks will have. A static MPI has
# no library, but the name of its first function somewhere. A script may start anything: it is believed.
_LOOK = r"""look() {
  if [ ! -f "$1" ] || [ ! -x "$1" ]; then echo "absent $1"; return; fi
  uses=
  ldd "$1" | {
    while read -r name arrow where rest; do
      case "$arrow $where" in "=> not") echo "lacks $name";; esac
      case $name in libmpi.so*|libmpi_abi.so*|LIBRARIES) echo "uses $where"; uses=1;; esac
    done
    [ -n "$2" ] && [ -z "$uses" ] && [ "$(head -c 2 "$1")" != '#!' ] &&
      ! grep -q MPI_Init "$1" && echo "plain $1"
  }
}"""


@dataclass(frozen=True)
class Fitness:
    """What was found on one node.

    ``absent`` are programs that are not there, ``lacking`` libraries that no loader finds,
    ``plain`` benchmark programs that were built without MPI, ``mpi_libraries`` the paths
    of what the loader takes for the benchmark, as ``/usr/lib/x86_64-linux-gnu/libmpi.so.40``.
    """

    absent: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    mpi_libraries: tuple[str, ...] = ()


def fitness_section(mpi: Mpi, programs: Sequence[str], env: Mapping[str, str]) -> Section:
    """Describe how a node is asked.

    Parameters: the MPI of the launch; the benchmark's programs, absolute or seen from the home
    directory; what will be in the ranks' environment, of which the library path counts.
    """
    path = env.get("LD_LIBRARY_PATH")
    libraries = dict.fromkeys(f"{start}*" for each in LAUNCHERS.values() for start in each.libraries)
    body = ["exec 2>/dev/null", "cd", _LOOK.replace("LIBRARIES", "|".join(libraries))]
    body += [f"LD_LIBRARY_PATH={quote(path)}; export LD_LIBRARY_PATH"] if path else []
    body.append(f"d={quote(mpi.launcher.rpartition('/')[0])}")
    daemons = LAUNCHERS[mpi.kind].daemons(mpi.version)
    if apart := daemons.apart:
        body.append(f'[ -e "$d/{apart}" ] || {{ p=$(command -v {apart}) && d=${{p%/*}}; }}')
    body += [f"look \"$d/{name}\" ''" for name in daemons.programs]
    body += [f"look {quote(program)} benchmark" for program in programs]
    return Section("fitness", "\n".join([*body, "echo done"]))


def parse_fitness(output: SectionOutput) -> Fitness:
    """Read what :func:`fitness_section` found; lines that are none of its own count for nothing."""
    found: dict[str, list[str]] = {"absent": [], "lacks": [], "plain": [], "uses": []}
    for line in output.text.split("\n"):
        word, _, rest = line.rstrip("\r").partition(" ")
        if word in found and rest.isprintable() and rest not in found[word]:
            found[word].append(rest)
    return Fitness(*(tuple(found[word]) for word in ("absent", "lacks", "plain", "uses")))


def other_mpi(mpi: Mpi, libraries: Sequence[str]) -> str | None:
    """Say which MPI a program was built for where that is not the one that launches it.

    With the wrong one each rank is alone in a world of its own. MPIs that share a soname run each other's.
    """
    for path in libraries:
        name = path.rpartition("/")[2]
        makers = [each for each in LAUNCHERS.values() if name.startswith(each.libraries)]
        if makers and mpi.kind not in [each.kind for each in makers]:
            return f"{makers[0].name} ({name})"
    return None
