from __future__ import annotations

import os
import select
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_SHELLS = [["sh"], ["dash"], ["bash"], ["busybox", "sh"], ["mksh"]]
FOUND = [shell for shell in _SHELLS if shell[0] == "sh" or shutil.which(shell[0])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shell" in metafunc.fixturenames:
        metafunc.parametrize("shell", FOUND, ids="-".join)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home directory on a node."""
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Wait until a process has ended, however long that takes; tell whether it has."""

    def wait(pid: int) -> bool:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        with os.fdopen(handle, "rb", buffering=0):
            return bool(select.select([handle], [], [], 60)[0])

    return wait
