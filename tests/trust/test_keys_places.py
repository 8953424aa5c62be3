"""What stands in a file's place, and what is odd about it: kept, or refused untouched."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from two_members import FOREIGN, MEMBERS

from clusterboot.errors import PartialError
from clusterboot.nodes.question import Reply
from clusterboot.trust import survey

if TYPE_CHECKING:
    from conftest import Home

    MakeHome = Callable[..., Home]


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
    question = survey.question("lab", make_key=True)
    answer = home.ask(question.sections)
    with pytest.raises(PartialError, match="a link that leaves the home") as refused:
        question.parse(Reply(answer.sections))
    assert "a folder of the user's own" in str(refused.value.remedy)
    assert list(elsewhere.iterdir()) == []


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
