"""What a node must have so that a launcher elsewhere can start ranks on it: looked at before the launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from clusterboot.facts.node import Mpi
from clusterboot.mpi.launchers import launch_programs
from clusterboot.mpi.openmpi import MAY_BE_APART
from clusterboot.nodes.script import Section, SectionOutput

# ldd is the loader's own word, under the very environment that the ranks will have. A static MPI has
# no library, but the name of its first function somewhere. A script may start anything: it is believed.
_LOOK = r"""look() {
  if [ ! -f "$1" ] || [ ! -x "$1" ]; then echo "absent $1"; return; fi
  uses=
  ldd "$1" | {
    while read -r name arrow where rest; do
      case "$arrow $where" in "=> not") echo "lacks $name";; esac
      case $name in libmpi.so*|libmpi_abi.so*|libmpich.so*) echo "uses $where"; uses=1;; esac
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
    body = ["exec 2>/dev/null", "cd", _LOOK]
    body += [f"LD_LIBRARY_PATH={quote(path)}; export LD_LIBRARY_PATH"] if path else []
    body.append(f"d={quote(mpi.launcher.rpartition('/')[0])}")
    names = launch_programs(mpi)
    if MAY_BE_APART in names:
        body.append(f'[ -e "$d/{MAY_BE_APART}" ] || {{ p=$(command -v {MAY_BE_APART}) && d=${{p%/*}}; }}')
    body += [f"look \"$d/{name}\" ''" for name in names]
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

    With the wrong one each rank is alone in a world of its own. Source: the libraries' sonames;
    MPICH and Intel MPI share theirs (the MPICH ABI Compatibility Initiative).
    """
    for path in libraries:
        name = path.rpartition("/")[2]
        of_openmpi = name.startswith(("libmpi.so.40", "libmpi.so.20"))
        of_mpich = name.startswith(("libmpi.so.12", "libmpich.so"))
        if of_openmpi and mpi.kind != "openmpi":
            return f"Open MPI ({name})"
        if of_mpich and mpi.kind == "openmpi":
            return f"MPICH ({name})"
    return None
