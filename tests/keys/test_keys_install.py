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

from clusterboot.connect.script import Section
from clusterboot.errors import PartialError
from clusterboot.keys import install, survey
from clusterboot.keys.records import Member

if TYPE_CHECKING:
    from conftest import Home

    MakeHome = Callable[..., Home]

FOREIGN = b"# caf\xe9\r\nssh-ed25519 AAAAC3 me@there\nno newline at the end"
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


def member(number: int) -> Member:
    key = f"ssh-ed25519 AAAA{number:04d}"
    return Member(f"n{number}", "u", 22, f"10.1.0.{number}", (), (f"10.1.0.{number}",), key, (), f"n{number}")


MEMBERS = (member(1), member(2))


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
    {{ echo "# {me}-$n"; cat "$HOME/$cb_path"; }} | cb_replace "$cb_path" "$old" 600 "${{new%% *}}"
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
    answer = home.ask([install.section("lab", edits, wait_s=1, silence_s=9)])
    with pytest.raises(PartialError, match=r"process 12 on elsewhere for a login from 192\.0\.2\.9"):
        install.parse(answer.sections, edits, "n1")
    assert home.authorized_keys.read_bytes() == FOREIGN


def test_links_of_the_user_in_the_home_are_followed_and_kept(make_home: MakeHome) -> None:
    home = make_home()
    real = home.path / "dotfiles/keys"
    real.parent.mkdir()
    real.write_bytes(FOREIGN)
    home.authorized_keys.symlink_to("../dotfiles/keys")
    before = home.contents()
    home.install(MEMBERS)
    assert home.authorized_keys.is_symlink()
    assert real.read_bytes().endswith(FOREIGN)
    assert real.read_bytes() != FOREIGN
    home.take_back()
    assert home.contents() == before


def test_mode_and_extended_attributes_stay(make_home: MakeHome, tmp_path: Path) -> None:
    home = make_home(authorized_keys=FOREIGN)
    home.authorized_keys.chmod(0o440)
    os.setxattr(home.authorized_keys, "user.note", b"keep me")
    inode = home.authorized_keys.stat().st_ino
    home.install(MEMBERS)
    assert home.authorized_keys.stat().st_mode & 0o777 == 0o440
    assert os.getxattr(home.authorized_keys, "user.note") == b"keep me"
    assert home.authorized_keys.stat().st_ino != inode


def test_what_else_is_odd_about_a_file_stays_as_it_is(make_home: MakeHome, tmp_path: Path) -> None:
    """A second name for it, modes without a write bit, a folder that is the user's own link."""
    home = make_home(authorized_keys=b"\0\xff junk\r\n" * 3, config=b"")
    real = home.path / "dotfiles/ssh"
    real.parent.mkdir()
    (home.path / ".ssh").rename(real)
    (home.path / ".ssh").symlink_to("dotfiles/ssh")
    home.config.chmod(0o444)
    home.authorized_keys.chmod(0o400)
    (home.path / "second-name").hardlink_to(home.authorized_keys)
    before = home.contents()
    home.install(MEMBERS)
    assert home.path.joinpath("second-name").read_bytes() == before["dotfiles/ssh/authorized_keys"]
    assert home.authorized_keys.read_bytes().endswith(bytes(before["second-name"]))  # type: ignore[arg-type]
    modes = [path.stat().st_mode & 0o777 for path in (home.config, home.authorized_keys)]
    home.take_back()
    assert home.contents() == before
    assert (
        [path.stat().st_mode & 0o777 for path in (home.config, home.authorized_keys)]
        == modes
        == [0o444, 0o400]
    )


def test_a_folder_that_leads_out_of_the_home_is_refused_before_anything_is_made_in_it(
    make_home: MakeHome,
) -> None:
    home = make_home()
    elsewhere = home.path.parent / "elsewhere"
    (home.path / ".ssh").rename(elsewhere)
    (home.path / ".ssh").symlink_to(elsewhere)
    answer = home.ask(survey.sections("lab", make_key=True))
    with pytest.raises(PartialError, match="a link that leaves the home") as refused:
        survey.parse(answer.sections, "lab", "n1")
    assert "a folder of the user's own" in str(refused.value.remedy)
    assert list(elsewhere.iterdir()) == []


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


def test_what_is_kept_while_the_lock_is_taken_has_no_name_that_taking_it_uses() -> None:
    room = Path(install.__file__).parent
    ours, theirs = (
        set(re.findall(r"\b(cb_\w+)=", (room / name).read_text())) for name in ("install.sh", "hostcert.sh")
    )
    # What was said last, and what is set anew before each use.
    assert ours & theirs == {"cb_said", "cb_before"}


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _link_away(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def _somebody_elses(path: Path) -> None:
    path.write_bytes(FOREIGN)
    os.chown(path, 65534, 65534)


def _identity(path: Path) -> tuple[int, ...]:
    """All of a file's place but when it was last read."""
    stat = path.lstat()
    return (
        stat.st_mode,
        stat.st_ino,
        stat.st_uid,
        stat.st_gid,
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
    )


@pytest.mark.parametrize(
    ("put", "cause"),
    [
        (_fifo, "a FIFO"),
        (_folder, "a directory"),
        (_link_away, "a link that leaves the home"),
        (_link_to_nothing, "a link to nothing"),
        pytest.param(_somebody_elses, "owned by somebody else", marks=pytest.mark.lab),
    ],
)
def test_what_is_no_file_of_the_users_is_refused_untouched(
    make_home: MakeHome, put: Callable[[Path], None], cause: str
) -> None:
    home = make_home()
    put(home.authorized_keys)
    before = _identity(home.authorized_keys)
    with pytest.raises(PartialError, match=cause) as refused:
        home.install(MEMBERS)
    assert refused.value.remedy
    assert _identity(home.authorized_keys) == before
    assert [path.name for path in home.path.glob(".ssh/*")] == ["authorized_keys"]


_UNWRITABLE = {
    "disk full": (
        "mount -t tmpfs -o size=8k,nr_inodes=40 full $h; cp -a $h.saved/. $h; cat /dev/zero >$h/filler",
        "No space left",
    ),
    "inodes gone": (
        "mount -t tmpfs -o size=1m,nr_inodes=7 full $h; cp -a $h.saved/. $h; touch $h/1 $h/2 $h/3 $h/4 $h/5",
        "No space left",
    ),
    "read-only": ("mount -t tmpfs x $h; cp -a $h.saved/. $h; mount -o remount,ro $h", "read-only"),
    "immutable": ("mount -t tmpfs x $h; cp -a $h.saved/. $h; chattr +i $h/.ssh/authorized_keys", "immutable"),
}


@pytest.mark.lab
@pytest.mark.parametrize("trouble", _UNWRITABLE)
def test_a_file_that_cannot_be_written_stays_and_the_reason_is_said(
    make_home: MakeHome, trouble: str
) -> None:
    home = make_home(authorized_keys=FOREIGN)
    # The edits are planned before the trouble begins; it is made in a mount namespace of its own.
    make, cause = _UNWRITABLE[trouble]
    body = f"h={home.path}; cp -a $h $h.saved; {{ {make}; }} 2>/dev/null; exec /bin/sh -s"
    broken = replace(home, interpreter=("unshare", "-m", "sh", "-c", body, "x"))
    with pytest.raises(PartialError) as refused:
        broken.install(MEMBERS)
    assert cause in str(refused.value)
    assert refused.value.remedy
