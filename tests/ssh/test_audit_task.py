"""``invoke audit --verify`` says whether the log is what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.program import Program

from clusterboot.inventory.cluster import Login
from clusterboot.ssh.audit import AuditLog
from clusterboot.tasks.audit_task import audit


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "clusterboot" / "lab1" / "audit.jsonl"
    with AuditLog(path) as written:
        for number in range(3):
            written.command(Login("gpu1", "u"), "gpu1", f"command {number}", 0, 0.1)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "cluster.yaml").write_text(
        "type: fleet\nname: lab1\nssh_config:\n  user: u\n  hosts: [gpu1]\n"
    )

    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            Program(namespace=Collection(audit)).run(["invoke", "audit", *args])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call


def test_a_whole_log_is_exit_0(log: Path, run: Any) -> None:
    code, out, _ = run("--verify", "--cluster", "cluster.yaml")

    assert code == 0
    assert "3 entries, whole" in out.replace("\n", " ")


def test_an_edited_log_is_exit_6_and_names_the_line(log: Path, run: Any) -> None:
    log.write_text(log.read_text().replace("command 1", "command X"))

    code, out, _ = run("--verify", "--log", str(log), "--json")

    document = json.loads(out)
    assert code == document["exit_code"] == 6
    assert [flaw["line"] for flaw in document["flaws"]] == [3]


def test_without_verify_it_says_where_the_log_is(log: Path, run: Any) -> None:
    code, out, _ = run("--cluster", "cluster.yaml")

    assert code == 0
    assert str(log) in out.replace("\n", "")


def test_where_nothing_was_done_yet_that_is_said(run: Any) -> None:
    code, _, err = run("--verify", "--cluster", "cluster.yaml")

    assert code == 2
    assert "cannot be read" in err


def test_an_expected_hash_is_checked_and_must_be_one(log: Path, run: Any) -> None:
    _, out, _ = run("--verify", "--log", str(log), "--json")
    noted = json.loads(out)["last_hash"]

    assert run("--verify", "--log", str(log), "--expect", noted)[0] == 0
    assert run("--verify", "--log", str(log), "--expect", "0" * 64)[0] == 6
    assert run("--verify", "--log", str(log), "--expect", "abc")[0] == 2
    assert run("--log", str(log), "--expect", noted)[0] == 2
