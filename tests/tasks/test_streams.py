from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from patience import HANGS_S

from operator_fixture import Operator


def shell(operator: Operator, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a shell's line in which ``cb`` is the command; its last word on the command is its exit status."""
    script = f'cb() {{ "{sys.executable}" -m clusterboot "$@"; }}\n{line}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=operator.folder,
        env=operator.environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_ends_no_command(operator: Operator, closed: str) -> None:
    done = shell(operator, f"cb lab.status {closed}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_leaves_the_exit_code_as_it_was(operator: Operator) -> None:
    codes = "echo ${PIPESTATUS[0]}"
    done = shell(operator, f"cb lab.status | true; {codes}; cb facts --cluster none --json | true; {codes}")
    assert done.stdout.split() == ["0", "2"]
    assert done.stderr.count("\n") == 1
    assert "none: there is no such file" in done.stderr


def test_output_that_a_full_disk_does_not_take_is_told(operator: Operator) -> None:
    done = shell(operator, "cb lab.status --json >/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output cannot be written: No space left on device")
    assert "Traceback" not in done.stderr


def test_messages_that_a_full_disk_does_not_take_end_no_command(operator: Operator) -> None:
    done = shell(operator, "cb facts --cluster none --json 2>/dev/full")
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_what_the_terminal_has_no_character_for_is_written_out(operator: Operator) -> None:
    operator.write("cluster.yaml", "type: fleet\nname: mine\nssh_config: {hosts: [n1]}\n")
    # Bytes that are no text in the operator's locale are in the command, and on the way out.
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell(operator, "cb run --dry-run $'printf \"\\xe9\"'", **plain)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == 'Would run on n1: printf "\\udce9"\n'


def test_output_that_is_said_to_be_no_columns_wide_is_shown(operator: Operator) -> None:
    assert "No lab runs here" in operator.run("lab.status", COLUMNS="0").stdout


def test_a_home_that_is_no_folder_is_no_fault(operator: Operator) -> None:
    done = shell(operator, "cb lab.status", HOME=os.devnull)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_is_gone_is_told(operator: Operator) -> None:
    done = shell(operator, "mkdir gone; cd gone; rmdir ../gone; cb facts")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the folder this runs in is gone")
