"""The operator's own command for a bad result: when it is run, with what, and what its failure changes."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from clusterboot.errors import ExitCode, ValidationError
from clusterboot.tasks.cli.command import Call, Outcome
from clusterboot.tasks.cli.on_bad import run_on_bad

BAD = Outcome(ExitCode.VALIDATION, more={"verdict": "slow"})


def keeping(path: Path) -> Call:
    """Give a call whose command keeps in a file what it is given."""
    call = Call("nccl-test", as_json=False)
    call.on_bad = f"cat > {shlex.quote(str(path))}"
    return call


def test_a_bad_result_is_given_to_the_command_whole(tmp_path: Path) -> None:
    keeping(tmp_path / "given").finish(BAD)
    given = json.loads((tmp_path / "given").read_text())
    assert (given["command"], given["exit_code"], given["verdict"]) == ("nccl-test", 6, "slow")


def test_what_could_not_be_launched_is_given_to_it_as_well(tmp_path: Path) -> None:
    keeping(tmp_path / "given").fail(
        ValidationError("no mpirun", host="n1", stage="launch", remedy="install one")
    )
    assert json.loads((tmp_path / "given").read_text())["error"]["cause"] == "no mpirun"


@pytest.mark.parametrize("code", sorted(set(ExitCode) - {ExitCode.VALIDATION}))
def test_nothing_else_runs_it(tmp_path: Path, code: ExitCode) -> None:
    keeping(tmp_path / "given").finish(Outcome(code))
    assert not (tmp_path / "given").exists()


def test_its_failure_is_told_and_changes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    call = Call("link-map", as_json=True)
    call.on_bad = "echo sent; exit 3"
    call.finish(BAD)
    out, err = capfd.readouterr()
    # Its words stay out of the one document on standard output.
    assert json.loads(out)["exit_code"] == 6
    assert err == "sent\nwarning: --on-bad ended with exit status 3\n"


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    said = run_on_bad(f"exec 3>{shlex.quote(str(held))}; sleep 7300 & wait", "{}", limit_s=1)
    assert said == "--on-bad was ended: it still ran after 1 s"
    # Its end comes when the last process that holds the other side is gone.
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_one_that_reads_nothing_is_no_failure() -> None:
    assert run_on_bad("exit 0", "x" * 1_000_000) is None
