"""collbench, the project's own benchmark: its source, and how it is built."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

# After the nodes' own ``mpicc`` and the ``.c`` files, for a linker may drop a library that stands
# before those who use it. glibc has dlopen and threads in libraries of their own up to 2.33.
BUILD_ARGS = ("-std=c11", "-O2", "-pthread", "-ldl")

_DIRECTORY = "src"


@cache
def sources() -> Mapping[str, bytes]:
    """Read the program's source files, by name in sorted order: C files and their headers."""
    directory = files(__package__) / _DIRECTORY
    found = sorted(
        (item for item in directory.iterdir() if item.name.endswith((".c", ".h"))), key=lambda item: item.name
    )
    return MappingProxyType({item.name: item.read_bytes() for item in found})
