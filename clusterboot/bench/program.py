"""collbench, the project's own benchmark: its source, and how it is built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

# After the nodes' own ``mpicc`` and the ``.c`` files, for a linker may drop a library that stands
# before those who use it. glibc has dlopen and threads in libraries of their own up to 2.33.
BUILD_ARGS = ("-std=c11", "-O2", "-pthread", "-ldl")

_DIRECTORY = "collbench"


@cache
def sources() -> Mapping[str, bytes]:
    """Read the program's source files, by name in sorted order: C files and their headers."""
    directory = files(__package__) / _DIRECTORY
    found = sorted(
        (item for item in directory.iterdir() if item.name.endswith((".c", ".h"))), key=lambda item: item.name
    )
    return MappingProxyType({item.name: item.read_bytes() for item in found})


def build_argv(mpicc: str, binary: str, directory: str = ".") -> list[str]:
    """Write the command that compiles the program.

    Parameters: the compiler wrapper's and the binary's path; the folder with the sources.
    """
    units = [f"{directory}/{name}" for name in sources() if name.endswith(".c")]
    return [mpicc, *units, *BUILD_ARGS, "-o", binary]


def source_digest() -> str:
    """Name this version of the program: 16 hexadecimal digits that change with any source byte."""
    digest = hashlib.sha256(" ".join(BUILD_ARGS).encode())
    for name, content in sources().items():
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
