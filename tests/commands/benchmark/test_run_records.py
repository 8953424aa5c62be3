"""The operator's side of a run: its log and its record."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from clusterboot import files
from clusterboot.errors import ClusterbootError
from clusterboot.run import runlog
from clusterboot.run.journal import abandoned, recorded
from clusterboot.run.runlog import LineLog


@pytest.fixture
def log(tmp_path: Path) -> LineLog:
    return LineLog(tmp_path / "run.log", lambda _: None)


def test_a_line_is_written_when_it_is_whole_and_its_secrets_never(log: LineLog) -> None:
    log.feed("stdout", b"one\ntw")
    assert log.content == b"one\n"
    log.feed("stderr", b"MY_TOKEN=abcdef\n")
    log.feed("stdout", b"o\nend")
    log.close()
    assert log.content == b"one\nMY_TOKEN=[removed]\ntwo\nend\n"


@pytest.mark.parametrize("piece", [b"y\n", b"y" * 70_000])
def test_output_without_end_is_cut_off_in_memory_and_on_disk(
    log: LineLog, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runlog, "LONGEST_LOG_BYTES", 500_000)
    monkeypatch.setattr(runlog, "LONGEST_LOG_LINES", 1000)
    for _ in range(2000):
        log.feed("stdout", piece)
    assert log.flooded
    assert log.path.stat().st_size <= 500_000
    assert len(log.content.splitlines()) <= 1000


def test_what_a_launcher_says_while_it_is_ended_is_not_the_runs(log: LineLog) -> None:
    log.feed("stdout", b"row\nhalf a")
    log.cut()
    log.feed("stderr", b"KILLED BY SIGNAL: 15\n")
    log.close()
    assert log.content == b"row\n"


def test_a_full_disk_is_told(log: LineLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "open_to_append", full)
    with pytest.raises(ClusterbootError, match="No space left"):
        log.feed("stdout", b"row\n")


def test_a_run_is_on_record_until_every_node_is_clear(tmp_path: Path) -> None:
    with recorded(tmp_path, "a1", ["n1", "n2", "n3"]) as record, abandoned(tmp_path) as others:
        # Somebody watches it.
        assert others == ()
        record.clear(["n1", "n3"])
    with abandoned(tmp_path) as left:
        assert [(each.run_id, each.hosts) for each in left] == [("a1", ["n2"])]
        left[0].clear(["n2"])
    with abandoned(tmp_path) as left:
        assert left == ()
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_record_survives_its_process(tmp_path: Path) -> None:
    if os.fork() == 0:
        with recorded(tmp_path, "a1", ["n1"]):
            os._exit(0)
    os.wait()
    with abandoned(tmp_path) as left:
        assert [each.run_id for each in left] == ["a1"]
