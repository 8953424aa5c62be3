"""The benchmark program on one node: compiled there from source with the node's own MPI."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from shlex import quote

from clusterboot.errors import ValidationError
from clusterboot.mpi.launcher import Mpi
from clusterboot.mpi.script_names import bench_folder, token
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput

_TIMEOUT_S = 300.0
# After the nodes' own ``mpicc`` and the ``.c`` files, for a linker may drop a library that stands
# before those who use it. glibc has dlopen and threads in libraries of their own up to 2.33.
BUILD_ARGS = ("-std=c11", "-O2", "-pthread", "-ldl")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Tells a file system mounted noexec, where every program fails with status 126. A file
# without a #! line is enough: the kernel refuses it before it looks inside.
EXEC_PROBE = "echo : >.probe.$$ && chmod 700 .probe.$$ && ./.probe.$$; tried=$?; rm -f .probe.$$"


@cache
def sources() -> Mapping[str, str]:
    """Read the program's source files, by name in sorted order: C files and their headers."""
    found = {item.name: item for item in (files(__package__) / "src").iterdir()}
    return {name: found[name].read_text("utf-8") for name in sorted(found) if name.endswith((".c", ".h"))}


@dataclass(frozen=True)
class Build:
    """A program to be built: its name, its C sources by file name, and the compiler's arguments.

    ``args`` stand after the sources on ``mpicc``'s command line, before ``-o``.
    """

    program: str
    sources: Mapping[str, str]
    mpi: Mpi
    args: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A name that changes with any byte of the sources, the MPI or the arguments: 32 hex digits."""
        words: list[str] = [self.program, self.mpi.kind, self.mpi.version, str(self.mpi.mpicc), *self.args]
        words += [part for item in sorted(self.mpi.env.items()) for part in item]
        words += [part for item in sorted(self.sources.items()) for part in item]
        return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]

    def path(self, cluster: str) -> str:
        """Give where the program is on a node, seen from the home directory."""
        return f"{bench_folder(cluster, self.digest)}/{token(self.program, 'a program')}"


def building(build: Build, cluster: str) -> Question[str]:
    """Have a node build a program, or find that it has it.

    The program appears under its name only when it is complete, so that an interrupted build
    is done again and a parallel one does no harm. Nothing is written outside the cluster's
    own folder.

    Parameters: the program; the cluster's name. Returns: what is answered by the program's absolute path.
    Errors: ``ValueError`` for a name that is not one, or an MPI without a compiler.
    """
    if not build.mpi.mpicc:
        raise ValueError("this MPI has no mpicc")
    folder, program = bench_folder(cluster, build.digest), token(build.program, "a program")
    names = [token(name, "a source file") for name in build.sources]
    if not all(name.endswith((".c", ".h")) for name in names):
        raise ValueError("a source file's name ends in .c or .h")
    inputs = [name for name in names if name.endswith(".c")]
    compiler = " ".join(map(quote, [build.mpi.mpicc, *inputs, *build.args]))
    body = [
        "umask 077",
        'refuse() { echo "failed $1"; exit 1; }',
        f"cd && mkdir -p {folder} && cd {folder} || refuse folder",
        f'path="$(pwd)/{program}"',
        f"{EXEC_PROBE}",
        '[ "$tried" -ne 126 ] || refuse noexec',
        f'[ ! -x {program} ] || {{ echo "same $path"; exit 0; }}',
        f"[ -x {quote(build.mpi.mpicc)} ] || refuse compiler",
        "work=build.$$",
        "trap 'cd .. && rm -rf \"$work\"' EXIT",
        'mkdir "$work" && cd "$work" || refuse folder',
        *(_heredoc(name, text) for name, text in build.sources.items()),
        *(f"{_variable(name)}={quote(value)}; export {name}" for name, value in build.mpi.env.items()),
        f"{compiler} -o {program} 2>&1 || refuse compile",
        f'mv -f {program} "$path" || refuse folder',
        'echo "built $path"',
    ]
    return Question.of_one(Section("build", "\n".join(body)), parse_build, "launch", _TIMEOUT_S)


def parse_build(output: SectionOutput) -> str:
    """Read what :func:`building` did on a node.

    Returns: the program's absolute path. Errors: ``ValidationError`` at stage ``launch`` that says
    what stood in the way, with the compiler's own words where it was the compiler.
    """
    *said, last = output.text.rstrip("\n").split("\n")
    word, _, rest = last.partition(" ")
    if output.exit_code == 0 and word in ("built", "same") and rest.startswith("/"):
        return rest
    cause, remedy = _CAUSES.get(rest, _CAUSES["folder"]) if word == "failed" else _CAUSES["folder"]
    detail = "\n".join(said).strip()
    raise ValidationError(f"{cause}: {detail}" if detail else cause, stage="launch", remedy=remedy)


_CAUSES = {
    "folder": ("the benchmark's folder cannot be written", "free some space in the home directory"),
    "noexec": ("the home directory does not let programs run (mounted noexec)", "mount it with exec"),
    "compiler": ("the MPI's compiler is not there any more", "collect the facts again"),
    "compile": ("the benchmark does not compile", "install the MPI's development files on this node"),
}


def _variable(name: str) -> str:
    """Refuse a name that a shell would take for something else."""
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} is not a variable's name")
    return name


def _heredoc(name: str, text: str) -> str:
    """Write a file with a here-document that ends at a line no source has."""
    end = f"CLUSTERBOOT_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if "\0" in text or end in text.split("\n"):
        raise ValueError(f"{name} cannot be sent as text")
    return f"cat >{name} <<'{end}' || refuse folder\n{text.removesuffix(chr(10))}\n{end}"
