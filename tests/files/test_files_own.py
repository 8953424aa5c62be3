"""Files are made where only their owner can change them, and never through a link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot import files
from clusterboot.errors import ClusterbootError, UsageError
from clusterboot.inventory.cluster import Cluster, Options
from clusterboot.run.runlog import LineLog
from clusterboot.session.context import Context
from clusterboot.session.results import result_folder

_WRITERS: dict[str, Callable[[Path], object]] = {
    "replace": lambda path: files.replace(path, b"a rank's line\n"),
    "append": lambda path: os.write(files.open_to_append(path), b"a rank's line\n"),
    "log": lambda path: LineLog(path, lambda _: None).feed("stdout", b"a rank's line\n"),
}


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "authorized_keys"
    path.write_text("ssh-ed25519 AAAA me\n")
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("writer", _WRITERS)
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_no_writer_follows_a_link(
    tmp_path: Path, precious: Path, writer: str, link: Callable[[Path, Path], None]
) -> None:
    before = precious.read_bytes()
    place = tmp_path / "run.log"
    link(precious, place)
    with contextlib.suppress(OSError, ClusterbootError):
        _WRITERS[writer](place)
    assert precious.read_bytes() == before


def test_a_file_gets_its_folders_access(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "lab"
    old = os.umask(0)
    try:
        files.make_folder(folder, mode=0o750)
        files.replace(folder / "result.json", b"{}")
        os.close(files.open_to_append(folder / "run.log"))
    finally:
        os.umask(old)
    assert [mode_of(folder.parent), mode_of(folder)] == [0o750, 0o750]
    assert {mode_of(folder / name) for name in ("result.json", "run.log")} == {0o640}


def test_replace_leaves_nothing_beside_where_it_fails(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        files.replace(tmp_path / "folder", b"text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_private_folder_is_private_with_its_parents(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        files.make_private_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(old)
    assert {mode_of(tmp_path / part) for part in ("a", "a/b", "a/b/c")} == {0o700}


@pytest.mark.parametrize("place", ["results", "results/lab", "hostfiles", "hostfiles/lab", "state"])
@pytest.mark.parametrize("how", ["written by all", "another's", "another's link"])
def test_a_command_refuses_folders_that_others_can_change(tmp_path: Path, place: str, how: str) -> None:
    if how != "written by all" and os.geteuid() != 0:
        how = "written by all"
    folder = tmp_path / place
    folder.parent.mkdir(exist_ok=True)
    if how == "another's link":
        (tmp_path / "elsewhere").mkdir()
        os.chown(tmp_path / "elsewhere", 1234, 1234)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir()
        folder.chmod(0o777 if how == "written by all" else 0o755)
    if how == "another's":
        os.chown(folder, 1234, 1234)
    context = Context(Cluster("lab", tmp_path / "cluster.yaml", ()), tmp_path / "state", tmp_path)
    with pytest.raises(UsageError, match=r"is not written to: .*(everybody can write|belongs to)"):
        context.require_own_folders()


def test_results_are_for_the_group_unless_asked_otherwise(tmp_path: Path) -> None:
    for access, folder_mode in (("owner", 0o700), ("group", 0o750), ("all", 0o755)):
        cluster = Cluster(f"c-{access}", tmp_path, (), options=Options(results_access=access))  # type: ignore[arg-type]
        folder = result_folder(Context(cluster, tmp_path, tmp_path), "nccl-test")
        assert mode_of(folder) == folder_mode
        log = LineLog(folder / "run.log", lambda _: None)
        log.feed("stdout", b"line\n")
        log.close()
        assert mode_of(folder / "run.log") == folder_mode & 0o666


def test_a_folder_of_the_users_own_group_is_his(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    folder.chmod(0o775)
    monkeypatch.setattr(files, "_is_private_group", lambda uid, gid: True)
    assert files.obstacle(folder) is None
    monkeypatch.setattr(files, "_is_private_group", lambda uid, gid: False)
    assert "the group" in (files.obstacle(folder) or "")
