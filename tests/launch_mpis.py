"""The MPIs that tests launch beside the machine's own, installed on demand."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Every program that starts ranks, as a process is called.
STARTERS = frozenset(
    {"mpirun", "mpiexec", "mpiexec.hydra", "orted", "orterun", "prted", "prterun", "prte"}
    | {"hydra_pmi_proxy", "hydra_bstrap_proxy"}
)
_SCRIPT = Path(__file__).parents[1] / "script" / "mpis"


@cache
def folders() -> dict[str, str]:
    """Install what is missing, and give each MPI's prefix by its name in ``tests/mpis``."""
    done = subprocess.run(
        [str(_SCRIPT)],
        env={**os.environ, "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"script/mpis could not install the MPIs that are tested:\n{done.stderr}"
    found = (line.partition(" ") for line in done.stdout.splitlines())
    return {name: path for name, _, path in found}


@dataclass(frozen=True)
class SystemOpenMpi:
    """The distribution's Open MPI: its version, the file that ``mpirun`` is, what it starts elsewhere."""

    version: str
    launcher: str
    daemon: str


@cache
def system_openmpi() -> SystemOpenMpi:
    """Ask the distribution's Open MPI what it is: orterun and orted until 4, PRRTE's programs from 5 on."""
    launcher = Path("/usr/bin/mpirun.openmpi")
    said = subprocess.run(
        [launcher, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    version = said.stdout.splitlines()[0].split()[-1]
    daemon = "orted" if version.startswith("4.") else "prted"
    return SystemOpenMpi(version, str(launcher.resolve()), f"/usr/bin/{daemon}")
