"""What has to be installed is written down once, in script/packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from clusterboot.lab import machine

REPOSITORY = Path(__file__).parents[2]
LINES = (REPOSITORY / "script" / "packages").read_text(encoding="utf-8").splitlines()
ROWS = [line.split(maxsplit=3) for line in LINES if not line.startswith("#")]


def shell(body: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``body`` after script/setup.sh, as script/demo does."""
    return subprocess.run(
        ["bash", "-euc", f"PYTHON=python3; . script/setup.sh; {body}"],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def bin_with(tmp_path: Path) -> Path:
    """A folder with what script/setup.sh itself calls, and stand-ins that say how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "sort", "id", "env"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    for name, body in {
        "apt-get": 'echo "apt-get $*"',
        "apt-cache": 'case " $KNOWN " in *" $2 "*) echo "$2 | 1.0 | a mirror" ;; esac',
        "sudo": 'echo "sudo $*"',
        "python3": "exit 0",
    }.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


def test_each_line_is_whole() -> None:
    assert [row for row in ROWS if len(row) != 4] == []
    assert {row[0] for row in ROWS} == {"demo", "slurm", "tests", "mpis", "fresh", "benchmarks"}
    assert len({row[1] for row in ROWS}) == len(ROWS)


def test_a_lab_asks_for_the_same_packages() -> None:
    demo = {row[1]: row[2] for row in ROWS if row[0] == "demo"}
    assert {name: demo.get(name) for name in machine.TOOLS} == machine.TOOLS
    assert {row[1]: row[2] for row in ROWS if row[0] == "slurm"} == machine.SLURM_TOOLS


def test_nothing_is_installed_where_nothing_is_missing(tmp_path: Path) -> None:
    there = shell("is_there() { true; }; apt-get() { exit 1; }; install_packages demo tests mpis")
    assert (there.returncode, there.stdout, there.stderr) == (0, "", "")


def test_what_is_missing_is_installed_once_and_by_its_name_here(bin_with: Path) -> None:
    """``KNOWN`` stands for Ubuntu, which calls the browser otherwise."""
    missing = "is_there() { case $1 in busybox | ip | tc | chromium*) false ;; esac; }"
    done = shell(
        f"PATH={bin_with}; {missing}; install_packages demo tests",
        KNOWN="busybox iproute2 chromium-browser",
    )
    assert done.returncode == 0, done.stderr
    *_, update, said, install = done.stderr.splitlines()
    assert "apt-get update" in update
    assert said == "==> installing busybox chromium-browser iproute2"
    assert install.endswith("--no-install-recommends busybox chromium-browser iproute2")


def test_without_apt_or_root_what_is_missing_is_named(bin_with: Path) -> None:
    missing = "is_there() { case $1 in ip | sshd) false ;; esac; }"
    (bin_with / "apt-get").unlink()
    done = shell(f"PATH={bin_with}; {missing}; install_packages demo")
    assert done.returncode == 1
    assert "these are missing: iproute2 openssh-server" in done.stderr
