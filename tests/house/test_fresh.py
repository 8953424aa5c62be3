"""script/fresh: a minimal machine for one command, of which nothing is left.

Here ``mmdebstrap`` is a stand-in that copies a few programs of this machine: no network is needed.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import HANGS_S

pytestmark = pytest.mark.lab

Start = Callable[..., "subprocess.Popen[str]"]

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "script" / "fresh"
PROGRAMS = ("bash", "cat", "ln", "ls", "mkdir", "mount", "readlink", "sh", "sleep", "umount")
FOLDERS = (
    "dev",
    "etc/apt/apt.conf.d",
    "etc/dpkg/dpkg.cfg.d",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/sbin",
)


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with just what the inside of script/fresh calls."""
    root = tmp_path_factory.mktemp("image") / "root"
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    found = [Path(str(shutil.which(name))) for name in PROGRAMS] + [Path("/usr/sbin/pivot_root")]
    for path in found:
        shutil.copy(path, root / "usr/bin")
    for link in ("bin", "sbin"):
        (root / link).symlink_to("usr/bin")
    said = subprocess.run(["ldd", *found], capture_output=True, text=True, check=True).stdout
    for library in set(re.findall(r"/\S*lib\S*\.so\S*", said)):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    program(root / "usr/sbin/update-ca-certificates", "#!/bin/sh\n")
    return root


@pytest.fixture
def fresh(tmp_path: Path, image: Path) -> Start:
    """Start script/fresh with the stand-in; what it keeps is in a folder beside ``image``."""
    tools = tmp_path / "tools"
    tools.mkdir()
    copy = f'#!/bin/sh\nset -eu\nwhile [ $# -gt 2 ]; do shift; done\ncp -a {image}/. "$1"\n'
    program(tools / "mmdebstrap", copy)
    path = f"{tools}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "FRESH_CACHE": str(image.with_name("kept"))}
    env.pop("CI", None)

    def start(*argv: str, **more: str) -> subprocess.Popen[str]:
        # A shell cannot trap what its caller has ignored, as nohup does with SIGHUP.
        return subprocess.Popen(
            ["env", "--default-signal=HUP,INT,TERM", str(SCRIPT), *argv],
            env={**env, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def kept(image: Path) -> list[str]:
    """Name what script/fresh keeps, but for the lock."""
    return sorted(path.name for path in image.with_name("kept").iterdir() if path.name != ".lock")


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def of_namespace(name: str) -> list[int]:
    """Open a descriptor on each process of a PID namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str((entry / "ns" / "pid").readlink()) == name:
                found.append(os.pidfd_open(int(entry.name)))
        except OSError:
            continue
    return found


def test_the_command_runs_in_a_clone_with_nothing_of_this_machine(
    fresh: Start, image: Path, tmp_path: Path
) -> None:
    before = mounts()
    listing = ["git", "-c", f"safe.directory={REPOSITORY}", "ls-tree", "--name-only", "HEAD"]
    tracked = subprocess.check_output(listing, cwd=REPOSITORY, text=True)

    command = "pwd; ls -A; echo = $HOME $USER $CI; ls / /root /mnt; ls -d /proc/[0-9]*; exit 7"
    done = fresh("trixie", command)
    out, err = done.communicate(timeout=HANGS_S)

    assert done.returncode == 7, err
    here, _, rest = out.partition("= ")
    assert set(here.split()) == {"/root/clusterboot", ".git", *tracked.split()}
    assert rest.startswith("/root root true\n")
    assert str(tmp_path) not in rest
    # Process 1, the command's shell and ls.
    assert len(re.findall(r"^/proc/\d+$", rest, re.M)) <= 3
    assert [re.sub(r"[\d-]+$", "", name) for name in kept(image)] == ["trixie"]
    assert mounts() == before


def test_what_one_run_changes_the_next_does_not_see(fresh: Start, image: Path) -> None:
    for _ in range(2):
        done = fresh("trixie", "ls /marks; mkdir /marks")
        _, err = done.communicate(timeout=HANGS_S)
        assert done.returncode == 0
        assert "/marks" in err
    assert len(kept(image)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_cut_off_leaves_nothing(fresh: Start, image: Path, number: signal.Signals) -> None:
    """After SIGKILL only the folder is left, and the next run takes it away."""
    before = mounts()
    run = fresh("trixie", "sleep 600 & readlink /proc/self/ns/pid; trap '' INT TERM HUP; sleep 600")
    assert run.stdout
    inside = of_namespace(run.stdout.readline().strip())
    assert len(inside) >= 3

    run.send_signal(number)
    run.communicate(timeout=HANGS_S)

    for descriptor in inside:
        assert select.select([descriptor], [], [], 60)[0]
        os.close(descriptor)
    assert run.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert mounts() == before
    if number == signal.SIGKILL:
        assert len(kept(image)) == 2
        fresh("trixie", "true").communicate(timeout=HANGS_S)
    assert len(kept(image)) == 1


@pytest.mark.parametrize(("ci", "code"), [("", 77), ("true", 1)])
def test_where_none_can_be_made_it_says_so(fresh: Start, tmp_path: Path, ci: str, code: int) -> None:
    program(tmp_path / "tools" / "mmdebstrap", "#!/bin/sh\necho 'no route to the mirror' >&2\nexit 1\n")
    failed = fresh("trixie", "true", CI=ci, FRESH_CACHE=str(tmp_path / "empty"))
    _, err = failed.communicate(timeout=HANGS_S)

    assert failed.returncode == code
    assert "no route to the mirror" in err
    assert "a minimal machine cannot be made here: no trixie could be made from http" in err
    assert [path.name for path in (tmp_path / "empty").iterdir()] == [".lock"]


@pytest.mark.parametrize(("ci", "code"), [("", 77), ("true", 1)])
def test_without_root_it_says_so(fresh: Start, tmp_path: Path, ci: str, code: int) -> None:
    program(tmp_path / "tools" / "id", "#!/bin/sh\necho 1000\n")
    refused = fresh("trixie", "true", CI=ci)
    out, err = refused.communicate(timeout=HANGS_S)

    assert (refused.returncode, out) == (code, "")
    assert "it needs root" in err


def test_another_suite_is_an_error(fresh: Start) -> None:
    wrong = fresh("sarge")
    _, err = wrong.communicate(timeout=HANGS_S)
    assert wrong.returncode == 1
    assert "bookworm|trixie|jammy|noble" in err
