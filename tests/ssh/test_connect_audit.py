"""The audit log: complete, chained, and a condition of doing anything at all."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot.errors import ClusterbootError, UsageError
from clusterboot.inventory.cluster import Login
from clusterboot.ssh.audit import AuditLog, verify

LOGIN = Login("gpu1", "ubuntu", 2222)


def write(path: Path, count: int = 5) -> None:
    with AuditLog(path) as log:
        for number in range(count):
            log.command(LOGIN, "gpu1", f"command {number}", 0, 0.1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.jsonl"


def test_every_entry_says_when_who_where_what_and_how_it_ended(path: Path) -> None:
    with AuditLog(path) as log:
        log.connection(LOGIN, "head", "SHA256:x", "ok", 0.12345)
        log.command(LOGIN, "n1", "script facts", None, 1.5)

    connect, command = (json.loads(line) for line in path.read_text().splitlines())
    assert {"when", "operator", "previous"} < set(connect)
    assert (connect["event"], connect["host"], connect["port"], connect["user"]) == (
        "connect",
        "gpu1",
        2222,
        "ubuntu",
    )
    assert (connect["via"], connect["key"], connect["outcome"], connect["duration_s"]) == (
        "head",
        "SHA256:x",
        "ok",
        0.123,
    )
    assert (command["name"], command["command"], command["exit_code"]) == ("n1", "script facts", None)
    assert connect["previous"] == "0" * 64
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_untouched_log_is_whole(path: Path) -> None:
    write(path)
    write(path)

    verdict = verify(path)

    assert verdict.entries == 10
    assert verdict.flaws == ()


def edited(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].replace("command 2", "command X"), *lines[3:]]


TAMPERINGS: list[tuple[Callable[[list[str]], list[str]], int]] = [
    (edited, 4),
    (lambda lines: lines[:2] + lines[3:], 3),
    (lambda lines: lines[1:], 1),
    (lambda lines: lines[:-1], 5),
    (lambda lines: [], 1),
    (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
    (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),
    (lambda lines: [*lines[:2], "{}", *lines[3:]], 3),
    (lambda lines: [*lines[:4], lines[4].replace("command 4", "command X")], 6),
]


@pytest.mark.parametrize(("tamper", "line"), TAMPERINGS)
def test_a_line_that_was_edited_taken_out_or_moved_shows(
    path: Path, tamper: Callable[[list[str]], list[str]], line: int
) -> None:
    write(path)
    lines = tamper(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))

    assert verify(path).flaws[0].line == line


def test_lines_written_after_a_cut_do_not_hide_it(path: Path) -> None:
    write(path)
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:2]))
    with AuditLog(path) as log:
        log.command(LOGIN, "gpu1", "after", 0, 0.1)
        assert verify(path).flaws


def test_what_a_crash_left_of_a_line_is_told_and_the_chain_goes_on(path: Path) -> None:
    write(path, 2)
    with path.open("a") as file:
        file.write('{"when": "2026-01-')
    write(path, 2)

    verdict = verify(path)

    assert verdict.entries == 4
    assert [(flaw.line, "cut off" in flaw.cause) for flaw in verdict.flaws] == [(3, True)]


def _many(path: Path, who: int) -> None:
    with AuditLog(path) as log:
        for number in range(50):
            log.command(LOGIN, f"w{who}", f"{number}" * 200, 0, 0.1)


def test_several_commands_may_write_at_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_many, args=(path, who)) for who in range(3)]
    for writer in writers:
        writer.start()
    _many(path, 3)
    for writer in writers:
        writer.join()

    assert verify(path).entries == 200
    assert verify(path).flaws == ()


def test_hostile_words_stay_one_line_of_ascii(path: Path) -> None:
    with AuditLog(path) as log:
        log.command(LOGIN, "n1", "a\nb\x1b]0;x\x07\u202e", 0, 0.1)

    assert len(path.read_bytes().splitlines()) == 1
    assert all(32 <= byte < 127 for byte in path.read_bytes().rstrip(b"\n"))


def test_without_a_log_nothing_may_be_done(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ClusterbootError, match="cannot be written"):
        AuditLog(tmp_path / "file" / "audit.jsonl")
    with pytest.raises(ClusterbootError, match="cannot be written"):
        AuditLog(tmp_path)
    with pytest.raises(ClusterbootError, match="no regular file"):
        AuditLog(Path("/dev/full"))


@pytest.mark.lab
def test_a_full_disk_is_noticed_before_anything_is_done(tmp_path: Path) -> None:
    # In a mount namespace of its own, so that nothing is left behind.
    code = (
        "import sys; from pathlib import Path\n"
        "from clusterboot.ssh.audit import AuditLog\n"
        f"log = AuditLog(Path({str(tmp_path)!r}) / 'audit.jsonl')\n"
        "log.ready()\n"
        f"filler = open({str(tmp_path / 'filler')!r}, 'wb', buffering=0)\n"
        "try:\n    filler.write(bytes(1 << 20))\nexcept OSError: pass\n"
        "log.ready()\n"
    )
    script = f'mount -t tmpfs -o size=64k tmpfs {tmp_path} && exec {sys.executable} -c "$0"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path.cwd(),
    )

    assert "cannot be written: No space left on device" in done.stderr.splitlines()[-1]
    assert "log.ready()" not in done.stderr or done.returncode == 1


def test_a_log_that_is_not_there_is_a_usage_error(path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        verify(path)


def test_an_empty_log_is_whole(path: Path) -> None:
    with AuditLog(path):
        pass

    assert verify(path).entries == 0
    assert verify(path).flaws == ()


def test_a_missing_mark_is_told_and_stays_told(path: Path) -> None:
    write(path)
    path.with_name(path.name + ".mark").unlink()

    assert "mark beside the log is missing" in verify(path).flaws[0].cause
    write(path)
    assert [flaw.line for flaw in verify(path).flaws] == [6]


def test_an_emptied_log_is_told_and_stays_told(path: Path) -> None:
    write(path)
    path.write_bytes(b"")

    assert "shorter than it was" in verify(path).flaws[0].cause
    write(path)
    assert "shorter than it was" in verify(path).flaws[0].cause


def test_what_a_killed_command_wrote_cannot_be_cut_unseen(path: Path) -> None:
    log = AuditLog(path)
    for number in range(3):
        log.command(LOGIN, "gpu1", f"command {number}", 0, 0.1)
    # It is not closed: that is what kill -9 leaves.
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines()[:2]))

    assert verify(path).flaws


def test_a_hash_noted_elsewhere_shows_a_log_that_was_made_anew(path: Path) -> None:
    write(path)
    noted = verify(path).last_hash
    write(path)
    assert verify(path, noted).flaws == ()

    for name in (path.name, path.name + ".mark"):
        path.with_name(name).unlink()
    write(path)
    assert verify(path).flaws == ()
    assert "expected hash" in verify(path, noted).flaws[0].cause
