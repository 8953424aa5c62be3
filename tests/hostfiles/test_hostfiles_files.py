from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterboot.errors import PartialError
from clusterboot.hostfiles.outputs import changes, write

FILES = {"openmpi": "10.1.0.4 slots=8\n", "mpich": "10.1.0.4:8\n", "excluded": ""}


def test_files_are_written_and_named_as_changed(tmp_path: Path) -> None:
    folder = tmp_path / "hostfiles" / "lab"
    assert changes(folder, FILES) == ("openmpi", "mpich", "excluded")
    assert not folder.exists()
    assert write(folder, FILES) == ("openmpi", "mpich", "excluded")
    assert {path.name: path.read_text() for path in folder.iterdir()} == FILES
    assert stat.S_IMODE((folder / "openmpi").stat().st_mode) == 0o644


def test_a_second_write_touches_nothing(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    paths = [tmp_path, *tmp_path.iterdir()]
    before = [(path.stat().st_ino, path.stat().st_ctime_ns) for path in paths]
    assert write(tmp_path, FILES) == ()
    assert [(path.stat().st_ino, path.stat().st_ctime_ns) for path in paths] == before


def test_only_what_differs_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "mine").write_text("mine")
    kept = (tmp_path / "mpich").stat()
    assert write(tmp_path, {**FILES, "openmpi": "10.1.0.5 slots=8\n"}) == ("openmpi",)
    assert (tmp_path / "openmpi").read_text() == "10.1.0.5 slots=8\n"
    after = (tmp_path / "mpich").stat()
    assert (after.st_ino, after.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text(FILES["openmpi"])
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "openmpi").symlink_to("../target")
    assert "openmpi" in write(folder, FILES)
    (tmp_path / "target").write_text("other")
    assert (folder / "openmpi").read_text() == FILES["openmpi"]
    assert not (folder / "openmpi").is_symlink()


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, FILES)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PartialError, match="No space left on device"):
        write(tmp_path, {"openmpi": "new\n"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == FILES


def test_a_folder_in_a_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "openmpi").mkdir()
    with pytest.raises(PartialError, match=f"{tmp_path} cannot be written: Is a directory"):
        write(tmp_path, FILES)


@settings(deadline=None)  # what a shared machine takes is no test
@given(st.sampled_from(["", ".", "..", ".hidden", "../up", "a/b", "/abs", "nul\0"]))
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no plain file name"):
        changes(Path("/nonexistent"), {name: ""})
