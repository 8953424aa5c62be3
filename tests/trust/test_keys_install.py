from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from repetition import share
from two_members import FOREIGN, MEMBERS

from clusterboot.errors import PartialError
from clusterboot.nodes.script import Section
from clusterboot.trust.homes import install

if TYPE_CHECKING:
    from conftest import Home

    MakeHome = Callable[..., Home]

STEPS = (
    "lock-made",
    "locked",
    *(
        f"{step}:.ssh/{name}"
        for name in ("config", "authorized_keys")
        for step in ("begun", "beside", "written", "synced", "renamed")
    ),
    "unlocking",
)


SHELLS = ("/bin/sh", "bash", "busybox sh")


@pytest.fixture(params=SHELLS[: share(len(SHELLS))])
def home(request: pytest.FixtureRequest, make_home: MakeHome) -> Home:
    shell = tuple(str(request.param).split())
    assert shutil.which(shell[0])
    return make_home("home", shell, authorized_keys=FOREIGN)


def test_a_writer_killed_at_any_step_leaves_old_or_new_and_the_next_run_finishes(home: Home) -> None:
    before = home.contents()
    home.install(MEMBERS)
    after = home.contents()
    home.take_back()
    assert home.contents() == before
    # Each step in the plainest shell, and some in the others.
    for step in STEPS if home.interpreter[0] == "/bin/sh" else STEPS[1::4]:
        home.install(MEMBERS, CLUSTERBOOT_FAULT=step)
        assert home.faults[-1] == -9, f"not killed at {step}"
        now = home.contents()
        for name in (".ssh/authorized_keys", ".ssh/config"):
            assert now.get(name) in (before.get(name), after[name]), step
        home.install(MEMBERS)
        left = home.contents()
        assert {name for name in left if "lock" in name or "new" in name} == set(), step
        assert left[".ssh/authorized_keys"] == after[".ssh/authorized_keys"]
        home.take_back()
        assert home.contents() == before, step


REMOVAL_STEPS = (
    "lock-made",
    "locked",
    "removing:.ssh/config",
    *(f"{step}:.ssh/authorized_keys" for step in ("begun", "beside", "written", "synced", "renamed")),
    "dropping",
    "unlocking",
)


def test_a_teardown_killed_at_any_step_is_finished_by_the_next(home: Home) -> None:
    before = home.contents()
    for step in REMOVAL_STEPS if home.interpreter[0] == "/bin/sh" else REMOVAL_STEPS[2::3]:
        home.install(MEMBERS)
        home.take_back(CLUSTERBOOT_FAULT=step)
        assert home.faults[-1] == -9, step
        home.take_back()
        assert home.contents() == before, step


def test_every_step_at_which_a_writer_can_be_killed_is_tried() -> None:
    room = Path(install.__file__).parent
    named = re.findall(
        r"\bcb_at \"?([a-z-]+)", (room / "install.sh").read_text() + Path(install.__file__).read_text()
    )
    assert {step.partition(":")[0] for step in (*STEPS, *REMOVAL_STEPS)} == set(named)


# Each change reads and writes under one lock, as several operators' scripts do.
_WRITER = """
cb_path=.ssh/authorized_keys n=0
cb_place
while [ $n -lt {changes} ]; do
  (
    cb_lock
    cb_digest "$HOME/$cb_path"
    old=$cb_sum
    new=$({{ echo "# {me}-$n"; cat "$HOME/$cb_path"; }} | sha256sum)
    {{ echo "# {me}-$n"; cat "$HOME/$cb_path"; }} | cb_replace "$cb_path" "$old" "${{new%% *}}"
  )
  n=$((n + 1))
done
"""


@pytest.mark.parametrize("queue", ["flock", "folder"])
def test_of_many_writers_at_once_no_change_is_lost(make_home: MakeHome, queue: str) -> None:
    home = make_home(authorized_keys=FOREIGN)
    writers, changes = 8, share(50 if queue == "flock" else 6)
    functions = (Path(install.__file__).parent / "install.sh").read_text(encoding="utf-8")
    if queue == "folder":
        functions = functions.replace("command -v flock", "command -v no-such-command")

    def write(me: int) -> None:
        home.ask([Section("write", functions + _WRITER.format(me=me, changes=changes))])

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    lines = home.authorized_keys.read_bytes().removesuffix(FOREIGN).decode().splitlines()
    assert sorted(lines) == sorted(f"# {me}-{n}" for me in range(writers) for n in range(changes))
    assert [path.name for path in home.authorized_keys.parent.iterdir()] == ["authorized_keys"]


@pytest.mark.parametrize("mine", [True, False])
def test_a_lock_of_another_boot_is_taken_over_and_one_of_another_machine_when_it_is_silent(
    make_home: MakeHome, mine: bool
) -> None:
    home = make_home(authorized_keys=FOREIGN)
    machine = Path("/etc/machine-id").read_text(encoding="utf-8").strip() if mine else "feedfeedfeed"
    lock = home.path / ".ssh/.clusterboot.lock"
    lock.mkdir()
    (lock / f"12.34.{'0' * 32}.56.{machine}.{os.uname().nodename}").touch()
    assert home.install(MEMBERS)
    assert not lock.exists()


def test_whoever_waits_in_vain_says_for_whom(make_home: MakeHome) -> None:
    home = make_home(authorized_keys=FOREIGN)
    lock = home.path / ".ssh/.clusterboot.lock"
    lock.mkdir()
    (lock / f"12.34.{'0' * 32}.56.feedfeedfeed.elsewhere").write_text(" for a login from 192.0.2.9")
    edits = home.edits(MEMBERS)
    answer = home.ask([install.section("lab", edits)], cb_waited_max="1", cb_silence_max="9")
    with pytest.raises(PartialError, match=r"process 12 on elsewhere for a login from 192\.0\.2\.9"):
        install.parse(answer.sections["keys.install"], edits)
    assert home.authorized_keys.read_bytes() == FOREIGN


def test_two_clusters_of_one_home_change_nothing_of_each_others(make_home: MakeHome) -> None:
    home = make_home(authorized_keys=FOREIGN)
    before = home.contents()
    assert home.install(MEMBERS)
    other = replace(home, cluster="lab-2")
    assert other.install(MEMBERS)
    both = home.contents()
    assert (home.install(MEMBERS), other.install(MEMBERS)) == ((), ())
    assert home.contents() == both
    # Whoever goes last takes away what the first one made.
    for first, last in ((home, other), (other, home)):
        first.install(MEMBERS)
        last.install(MEMBERS)
        first.take_back()
        assert last.install(MEMBERS) == ()
        last.take_back()
        assert home.contents() == before
