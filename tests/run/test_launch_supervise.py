from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import HANGS_S
from supervised import NONCE, Run

from clusterboot.mpi.launcher import Command
from clusterboot.mpi.script_names import new_run_id, run_folder
from clusterboot.run.supervise import SupervisedEnd, SupervisedStream, render_supervisor


def test_both_streams_and_the_exit_code_come_through_untouched(start: Callable[..., Run]) -> None:
    run = start(r"printf '\000\377no newline'; echo oops >&2; exit 3")

    assert run.finish() == SupervisedEnd("exited", 3)
    assert run.said == b"\0\xffno newline"
    assert run.errors == b"oops\n"


def test_a_launcher_ended_by_a_signal_says_which(start: Callable[..., Run]) -> None:
    run = start("kill -9 $$")

    end = run.finish()

    assert (end.how, end.exit_code, run.errors) == ("exited", 128 + 9, b"")


def test_a_missing_launcher_is_127_and_said_on_stderr(shell: list[str], home: Path) -> None:
    run = Run(shell, home, ("/no/such/mpirun",), {})

    assert run.finish() == SupervisedEnd("exited", 127)
    assert b"/no/such/mpirun" in run.errors


def test_the_launcher_runs_in_home_without_input_in_a_session_of_its_own(
    start: Callable[..., Run], home: Path
) -> None:
    run = start('cat; pwd; umask; cut -d" " -f6 /proc/$$/stat; echo $$')
    run.finish()
    where, umask, session, pid = run.said.decode().split()

    assert where == str(home)
    assert session == pid
    assert int(umask, 8) == _umask()


def _umask() -> int:
    old = os.umask(0o22)
    os.umask(old)
    return old


def test_hostile_values_arrive_as_they_are_and_run_nothing(start: Callable[..., Run], home: Path) -> None:
    value = "a'b\"c $(touch pwned) `touch pwned`\n; touch pwned #\\"

    run = start('printf %s "$V"', {"V": value})
    run.finish()

    assert run.said == value.encode()
    assert not (home / "pwned").exists()


def test_the_run_folder_is_private_while_the_run_lives_and_gone_after(
    start: Callable[..., Run], home: Path
) -> None:
    run = start(
        'cd ".ssh/clusterboot/lab/runs/$CLUSTERBOOT_RUN"; cat hostfile; stat -c %a ~/.ssh .; cat supervisor'
    )
    run.finish()

    assert run.said.startswith(b"it's n1\nn2 slots=2\n700\n700\n%d " % run.process.pid)
    assert list(home.rglob("runs")) == []


def test_a_run_folder_of_another_run_stays(start: Callable[..., Run], home: Path) -> None:
    other = home / run_folder("lab", "r2")
    other.mkdir(parents=True)

    start("exit 0").finish()

    assert list(other.parent.iterdir()) == [other]


@pytest.mark.usefixtures("seconds_from_ready")
def test_a_deadline_ends_a_run_that_ignores_sigterm(
    start: Callable[..., Run], gone: Callable[[int], bool]
) -> None:
    run = start("trap '' TERM; echo $$; : >ready; while :; do sleep 600; done", deadline_s=1)

    assert run.finish().how == "deadline"
    assert gone(int(run.said))


@pytest.mark.usefixtures("seconds_from_ready")
def test_a_run_that_obeys_sigterm_may_say_goodbye(start: Callable[..., Run]) -> None:
    run = start("trap 'echo bye; exit 0' TERM; : >ready; sleep 600 & wait", deadline_s=1, grace_s=HANGS_S)

    assert run.finish().how == "deadline"
    assert run.said == b"bye\n"


def test_the_end_of_standard_input_ends_the_run(
    start: Callable[..., Run], gone: Callable[[int], bool]
) -> None:
    run = start("echo ready $$; sleep 600")
    run.read_until(b"\n")
    run.stdin.close()

    assert run.finish().how == "gone"
    assert gone(int(run.said.split()[1]))


def test_what_the_operator_sends_later_does_not_end_the_run(start: Callable[..., Run]) -> None:
    run = start("echo ready; while [ ! -e go ]; do sleep 0.1; done; exit 4")
    run.read_until(b"ready\n")
    run.stdin.write(b"exit 9\n")
    run.stdin.flush()
    (Path(run_home(run)) / "go").touch()

    assert run.finish() == SupervisedEnd("exited", 4)


def run_home(run: Run) -> str:
    environ = Path(f"/proc/{run.process.pid}/environ").read_bytes().split(b"\0")
    return next(line[5:].decode() for line in environ if line.startswith(b"HOME="))


def test_a_signal_to_the_supervisor_ends_the_run(
    start: Callable[..., Run], gone: Callable[[int], bool]
) -> None:
    run = start("echo $$; sleep 600")
    run.read_until(b"\n")
    run.process.terminate()

    assert run.finish().how == "stopped"
    assert gone(int(run.said))


def test_a_supervisor_killed_outright_leaves_no_watcher_behind(
    start: Callable[..., Run], gone: Callable[[int], bool]
) -> None:
    run = start("echo $$; exec sleep 600", silence_s=1)
    run.read_until(b"\n")
    launcher = int(run.said)
    while len(started := children(run.process.pid)) < 4:
        time.sleep(0.01)
    watchers = [pid for pid in started if pid != launcher]
    clocks = [pid for watcher in watchers for pid in children(watcher)]
    run.process.kill()
    run.stdin.close()
    # The launcher is the operator's to end, who sees that its supervisor is gone.
    os.kill(launcher, signal.SIGKILL)
    run.process.wait()
    run.stdout.close()
    run.stderr.close()

    assert all(gone(pid) for pid in (*watchers, *clocks))


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_processes_that_left_the_group_are_found_by_their_mark(
    start: Callable[..., Run], gone: Callable[[int], bool]
) -> None:
    """As Open MPI's ssh clients do, which each take a group of their own."""
    run = start("setsid sleep 600 & echo $!; exit 0")

    assert run.finish() == SupervisedEnd("exited", 0, killed=1)
    assert gone(int(run.said))


@pytest.mark.usefixtures("seconds_from_ready")
def test_processes_that_lost_their_mark_go_with_the_group(
    start: Callable[..., Run], gone: Callable[[int], bool]
) -> None:
    run = start("trap '' TERM; env -i /bin/sleep 600 & echo $!; : >ready; wait", deadline_s=1)

    assert run.finish().how == "deadline"
    assert gone(int(run.said))


def test_nothing_else_of_the_user_is_touched(start: Callable[..., Run]) -> None:
    name = new_run_id()
    with subprocess.Popen(["sleep", "600"], env={**os.environ, "CLUSTERBOOT_RUN": name + "0"}) as other:
        start("exit 0", run_id=name).finish()
        alive = other.poll() is None
        other.kill()

    assert alive


def test_without_setsid_the_run_still_ends(
    shell: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: Callable[[int], bool]
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("cat", "grep", "mkdir", "mv", "rm", "rmdir", "sleep", "tr", "uname", *shell[:1]):
        (tools / name).symlink_to(which(name))
    monkeypatch.setenv("PATH", str(tools))

    program = "sleep 600 & echo $!; trap '' TERM; while :; do sleep 600; done"
    run = Run(shell, home, ("/bin/sh", "-c", program), {})
    run.read_until(b"\n")
    run.stdin.close()

    assert run.finish().how == "gone"
    assert gone(int(run.said))


def which(name: str) -> str:
    return next(path for folder in ("/bin", "/usr/bin") if Path(path := f"{folder}/{name}").exists())


def test_a_home_that_cannot_be_written_starts_nothing(start: Callable[..., Run], home: Path) -> None:
    (home / ".ssh").write_text("not a folder")

    run = start("touch ran")

    assert run.finish() == SupervisedEnd("not-started", 1)
    assert not (home / "ran").exists()


@pytest.mark.parametrize("bad", ["", "-x", "..", "a/b", "a b", "a;b", "$(x)", "a\nb"])
@pytest.mark.parametrize("field", ["cluster", "run_id", "nonce", "file"])
def test_names_that_are_more_than_names_are_refused(field: str, bad: str) -> None:
    given_names = {"cluster": "lab", "run_id": "r1", "nonce": NONCE, "file": "hostfile"} | {field: bad}
    file = given_names.pop("file")

    with pytest.raises(ValueError, match="not usable"):
        render_supervisor(Command(("x",), {}), deadline_s=1, files={file: ""}, **given_names)  # type: ignore[arg-type]


@pytest.mark.parametrize(("deadline_s", "grace_s"), [(0, 1), (1, 0)])
def test_a_run_needs_time(deadline_s: int, grace_s: int) -> None:
    with pytest.raises(ValueError, match="at least a second"):
        render_supervisor(
            Command(("x",), {}), cluster="a", run_id="b", nonce="c", deadline_s=deadline_s, grace_s=grace_s
        )


@given(
    noise=st.binary(max_size=40),
    output=st.binary(max_size=80) | st.just(b"row\n" + NONCE.encode() + b" en"),
    cuts=st.lists(st.integers(0, 200), max_size=12),
)
def test_however_the_bytes_come_the_frame_goes_and_the_output_stays(
    noise: bytes, output: bytes, cuts: list[int]
) -> None:
    raw = b"%s%s begin\n%s%s end exited 7 1 0\n" % (noise, NONCE.encode(), output, NONCE.encode())
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    stream = SupervisedStream(NONCE)

    said = b"".join(stream.feed(raw[a:b]) for a, b in pairwise(edges))

    assert said == output
    assert stream.end == SupervisedEnd("exited", 7, killed=1)


def end_of(raw: bytes) -> SupervisedEnd | None:
    stream = SupervisedStream(NONCE)
    stream.feed(raw)
    return stream.end


@pytest.mark.parametrize(
    "tail", ["", "other end exited 0 0 0\n", f"{NONCE} end exited 0 0", f"{NONCE} end fine 0 0 0\n"]
)
def test_a_stream_without_its_end_line_was_cut_off(tail: str) -> None:
    assert end_of(f"{NONCE} begin\n# Out of bounds values : 0 OK\n{tail}".encode()) is None


def test_a_finished_line_is_given_out_at_once() -> None:
    stream = SupervisedStream(NONCE)
    stream.feed(f"{NONCE} begin\n".encode())

    assert stream.feed(b"   8  2  float\n") == b"   8  2  float\n"


@given(st.binary())
def test_an_end_is_never_read_out_of_foreign_bytes(raw: bytes) -> None:
    assert end_of(raw) is None
