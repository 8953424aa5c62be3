from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from clusterboot.facts import modules, mpi
from clusterboot.inventory.cluster import MpiOptions, Options

BEFORE = "@before\nHOME=/h\nPATH=/usr/bin\n\n@load\n"
AFTER = "\n@after\nHOME=/h\nPATH=/usr/bin\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n@mpi /usr/bin/mpirun\nmpirun (Open MPI) 4.1.4\n", None),
        ("@no-module-command\n", "a non-interactive shell has no module command"),
        (
            BEFORE + "ERROR: Unable to locate\n\ta modulefile for 'x'\n" + AFTER,
            "its module cannot be loaded: ERROR: Unable to locate a modulefile for 'x'",
        ),
        (BEFORE + AFTER, "its module cannot be loaded: nothing was changed by it"),
        (BEFORE + "it ends the shell\n", "its module cannot be loaded: it ends the shell"),
    ],
    ids=["no-module-asked-for", "no-command", "unknown", "without-effect", "ends-the-shell"],
)
def test_a_module_that_is_not_loaded_is_told(text: str, problem: str | None) -> None:
    assert mpi.problem(text) == problem


def test_the_loading_lines_take_hostile_names_as_names(tmp_path: Path) -> None:
    script = modules.load("a b;touch${IFS}harm `touch harm` $(touch harm)")

    subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, capture_output=True, check=False)

    assert list(tmp_path.iterdir()) == []


def test_a_prefix_or_a_module_leaves_no_other_place_to_look() -> None:
    assert "for d in $PATH" in mpi.script(Options())
    assert "for d in $PATH" not in mpi.script(Options(mpi=MpiOptions(prefix="/opt/x")))
    assert "/opt/openmpi*/bin" in mpi.script(Options())
    assert "/opt/openmpi*/bin" not in mpi.script(Options(mpi=MpiOptions(module="openmpi")))
