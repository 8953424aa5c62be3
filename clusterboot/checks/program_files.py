"""What a node must have so that a launcher elsewhere can start ranks on it: looked at before the launch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from clusterboot.mpi.launcher import Mpi
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.programs.records import ProblemKind
from clusterboot.session.visit import UnfitError

from .check import Check
from .ready import Ready
from .subjects import Planned

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


class ProgramsThere(Check[Planned, Fitness]):
    """Each node has the launcher's daemon, the benchmark and their libraries, as the others have them."""

    title = "programs checked"

    def questions(self, subject: Planned, hosts: Sequence[str]) -> Mapping[str, Question[Fitness]]:
        """Have each node look; the head that launches runs no rank."""
        section = fitness_section(subject.ready.mpi, subject.programs, subject.env)
        question = Question.of_one(section, parse_fitness, "launch")
        return {name: question for name in hosts if name in subject.ready.facts}

    def judge(self, subject: Planned, answers: Mapping[str, Fitness]) -> Mapping[str, UnfitError]:
        """Name who lacks something, or has another MPI library than most.

        What most nodes have, and of two the launching one's: no node alone decides what the others lack.
        """
        counts = Counter(found.mpi_libraries for found in answers.values())
        first = next((name for name in (subject.ready.start, *answers) if name in answers), "")
        node = max(
            answers, key=lambda name: (counts[answers[name].mpi_libraries], name == first), default=first
        )
        usual = answers[node].mpi_libraries if node in answers else ()
        found = {name: _unfit(subject.ready, node, answer, usual) for name, answer in answers.items()}
        return {name: error for name, error in found.items() if error is not None}


def _unfit(ready: Ready, node: str, found: Fitness, usual: tuple[str, ...]) -> UnfitError | None:
    other = other_mpi(ready.mpi, found.mpi_libraries)
    kind: ProblemKind
    if found.absent:
        cause, kind = f"it has no {', no '.join(found.absent)}", "missing-executable"
        remedy = f"install {ready.mpi_name} there as it is on {node}, or name clusterboot.mpi.prefix"
    elif found.lacking:
        cause, kind = f"its loader does not find {', '.join(found.lacking)}", "missing-library"
        remedy = "install it there as on the other nodes, or set LD_LIBRARY_PATH in the cluster file's env"
    elif found.plain:
        cause, kind = f"{found.plain[0]} was built without MPI: each rank would be alone", "not-mpi-build"
        remedy = "build nccl-tests with MPI=1, or name another folder as clusterboot.nccl.tests_dir"
    elif other:
        cause, kind = f"the benchmark was built for {other}, not for {ready.mpi_name}", "not-mpi-build"
        remedy = "build it with the MPI that launches it, or choose that one with clusterboot.mpi"
    elif found.mpi_libraries != usual:
        where = ", ".join(found.mpi_libraries) or "no MPI library"
        cause, kind = f"its loader takes {where}, on {node} {', '.join(usual)}", "missing-library"
        remedy = f"install {ready.mpi_name} there as it is on {node}"
    else:
        return None
    return UnfitError(kind, cause, stage="launch", remedy=remedy)


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
