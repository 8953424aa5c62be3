"""Runs one of the lab's small programs: ``background_program.py NAME [ARGUMENT…]``.

The module NAME beside this one has ``prepare(args)``, which gets ready and gives what is then done for
good, in the background. Its process number comes on standard output once it is ready. All of it has
nothing but the standard library, and is not among the machine's files, where that may be out of sight.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def _main(program: str, args: Sequence[str]) -> int:
    spec = importlib.util.spec_from_file_location(program, Path(__file__).with_name(f"{program}.py"))
    assert spec  # noqa: S101 - it is a file
    assert spec.loader  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    work = module.prepare(args)
    # Held by this process until it is gone, and by no other.
    here, held = os.pipe()
    pid = os.fork()
    if pid:
        sys.stdout.write(f"{pid}\n")
        return 0
    os.close(held)
    os.read(here, 1)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    work()
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2:]))
