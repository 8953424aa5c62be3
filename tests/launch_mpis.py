"""The MPIs that tests launch beside the machine's own, installed on demand."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

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
