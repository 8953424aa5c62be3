from __future__ import annotations

import os
import select
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from patience import HANGS_S
from repetition import share
from supervised import Run

_SHELLS = [["sh"], ["dash"], ["bash"], ["busybox", "sh"]]
# One of them is what sh is, and need not be tried twice.
_PATHS = {os.path.realpath(shutil.which(shell[0]) or shell[0]): shell for shell in reversed(_SHELLS)}
FOUND = list(reversed(_PATHS.values()))[: share(len(_PATHS))]


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
            return bool(select.select([handle], [], [], HANGS_S)[0])

    return wait


# A clock that waits until there is something to be seen at its end, for waits of so many seconds alone.
_CLOCK = """#!/bin/sh
[ "$1" != "${WAITING_CLOCK:-1}" ] || until [ -e "$HOME/ready" ]; do /bin/sleep 0.02; done
exec /bin/sleep "$@"
"""


@pytest.fixture
def seconds_from_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a supervisor's clock of one second begin when a file called ready is in its home."""
    clock = tmp_path / "clock"
    clock.mkdir()
    (clock / "sleep").write_text(_CLOCK)
    (clock / "sleep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{clock}:{os.environ['PATH']}")


@pytest.fixture
def start(shell: list[str], home: Path) -> Callable[..., Run]:
    def made(program: str, env: Mapping[str, str] | None = None, **options: Any) -> Run:
        return Run(shell, home, ("/bin/sh", "-c", program), env or {}, **options)

    return made
