from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from clusterboot.lab import FAULTS
from operator_fixture import Operator

GOOD = """type: fleet
name: mine
ssh_config:
  user: me
  hosts: [n1]
"""


def error_of(done_stderr: str) -> str:
    (line,) = [line for line in done_stderr.splitlines() if line.startswith("error: ")]
    return line


def refused(operator: Operator, *args: str) -> str:
    """Run a command that must end with exit code 2, one message and no traceback; give the message."""
    done = operator.run(*args)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    return done.stderr


def test_no_cluster_file(operator: Operator) -> None:
    said = refused(operator, "bootstrap")
    for way in ("--cluster", "CLUSTERBOOT_CLUSTER", "cluster.yaml", "lab.up"):
        assert way in said


def test_a_cluster_file_that_is_not_there(operator: Operator) -> None:
    assert "nowhere.yaml" in refused(operator, "bootstrap", "--cluster", "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type: fleet\nname: [", ("cluster.yaml:", "YAML")),
        (GOOD + "nodez: 3\n", ("cluster.yaml:6", "nodez")),
        (GOOD.replace("[n1]", "[n1, n1]"), ("cluster.yaml:5", "n1")),
        (GOOD.replace("[n1]", "['-oProxyCommand=x']"), ("cluster.yaml:5", "-oProxyCommand=x")),
        (GOOD + "  identity_file: /no/such/key\n", ("cluster.yaml:6", "/no/such/key")),
    ],
)
def test_a_bad_cluster_file_names_line_and_remedy(
    operator: Operator, text: str, words: tuple[str, ...]
) -> None:
    operator.write("cluster.yaml", text)
    said = refused(operator, "bootstrap")
    for word in words:
        assert word in said
    assert ";" in said


@pytest.mark.parametrize(
    "args",
    [
        ("bootstrap", "--bogus"),
        ("no-such-task",),
        ("bootstrap", "--keys", "magic"),
        ("bootstrap", "--fanout", "zero"),
        ("bootstrap", "--deadline", "-1"),
        ("nccl-test", "--collective", "all_the_things"),
        ("nccl-test", "-b", "huge"),
        ("nccl-test", "-b", "2M", "-e", "1M"),
        ("nccl-test", "--backend", "magic"),
        ("nccl-test", "--baseline", "nowhere.json"),
        ("nccl-test", "--launch-from", "n9"),
        ("bootstrap", "--hosts", "n9"),
        ("bootstrap", "--hosts", "n["),
        ("teardown", "--hosts", ""),
        ("teardown", "--cluster="),
        ("bootstrap", "--fanout", "9" * 5000),
        ("nccl-test", "-b", "9" * 500),
        ("nccl-parse", "nowhere.log"),
        ("run", " "),
        ("lab.up", "--nodes", "0"),
        ("lab.up", "--rate", "fast"),
        ("lab.up", "--name", "../x"),
    ],
)
def test_a_bad_option_is_refused(operator: Operator, args: tuple[str, ...]) -> None:
    operator.write("cluster.yaml", GOOD)
    refused(operator, *args)


def test_a_launch_from_a_head_that_is_not_there_is_refused_before_anything_is_contacted(
    operator: Operator,
) -> None:
    operator.write("cluster.yaml", GOOD.replace("[n1]", "[n1, n2]"))
    for command in ("nccl-test", "link-map"):
        said = refused(operator, command, "--launch-from", "head")
        assert "there is no head; name a node, as n1" in said


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("uptime", "-p"), "uptime -p"),
        (("ls", "-l", "--help", "--json"), "ls -l --help --json"),
        (("hostname", "date"), "hostname date"),
        (("dmesg | tail -3 > $HOME/x",), "dmesg | tail -3 > $HOME/x"),
        (("touch", "a b", "$(id)", "; id", "--", "-x"), "touch 'a b' '$(id)' '; id' -- -x"),
        (("--", "facts", "run"), "facts run"),
        (("echo", ""), "echo ''"),
    ],
)
def test_all_that_follows_runs_own_options_is_the_command(
    operator: Operator, words: tuple[str, ...], command: str
) -> None:
    operator.write("cluster.yaml", GOOD)
    for own in (("--dry-run",), ("--hosts", "n1", "--dry-run"), ("--cluster=cluster.yaml", "--dry-run")):
        done = operator.run("run", *own, *words)
        assert (done.returncode, done.stdout) == (0, f"Would run on n1: {command}\n"), done.stderr


def test_runs_own_options_behind_the_command_are_pointed_at(operator: Operator) -> None:
    operator.write("cluster.yaml", GOOD)
    warned = operator.run("run", "--dry-run", "reboot", "--hosts", "n1")
    assert warned.stdout == "Would run on n1: reboot --hosts n1\n"
    assert "--hosts is an argument of the command here" in warned.stderr
    assert "put run's own options first" in refused(operator, "run", "uptime -p", "--dry-run")


def test_a_script_that_cannot_be_sent_is_refused(operator: Operator) -> None:
    operator.write("cluster.yaml", GOOD)
    operator.write("program", "\x7fELF\0")
    operator.write("long", "#" * 600_000)
    assert "No such file" in refused(operator, "run", "--script", "nowhere.sh")
    assert "a program, not a script" in refused(operator, "run", "--script", "program")
    assert "larger than 512 KiB" in refused(operator, "run", "--script", "long")
    assert "--json" in refused(operator, "run", "--live", "--json", "true")


def test_json_says_the_error_too(operator: Operator) -> None:
    done = operator.run("bootstrap", "--json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["schema"] == "clusterboot/2"
    assert document["exit_code"] == 2
    assert document["error"]["remedy"]


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_head_that_cannot_be_reached_is_one_failure(operator: Operator, closed_port: int) -> None:
    head = f"  proxy_jump: me@127.0.0.1:{closed_port}\n"
    operator.write("cluster.yaml", GOOD.replace("[n1]", "['n[1-40]']") + head)
    done = operator.run("bootstrap")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "127.0.0.1" in line]
    assert "n[1-40]" in line
    assert "gateway" in line


def test_every_task_explains_itself(operator: Operator) -> None:
    listed = operator.run("--list")
    assert listed.returncode == 0
    for task in ("bootstrap", "facts", "nccl-test", "nccl-parse", "run", "teardown", "lab.up", "lab.down"):
        assert f"  {task} " in listed.stdout
        asked = operator.run("--help", task)
        assert asked.returncode == 0
        assert asked.stdout.startswith(f"Usage: clusterboot {task} ")
    for wrong in ("--hepl", "-n"):
        assert wrong in refused(operator, "run", wrong)
    for words in (("--help", "nosuch"), ("--list", "nosuch")):
        done = operator.run(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")
        assert "'nosuch'" in done.stderr


def test_a_reader_that_stops_reading_is_no_fault(operator: Operator) -> None:
    for words in (("--help",), ("--list",), ("bootstrap", "--help")):
        read, write = os.pipe()
        os.close(read)
        argv = [sys.executable, "-m", "clusterboot", *words]
        done = subprocess.run(
            argv, env=operator.environment(), stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(write)
        assert (done.returncode, done.stderr) == (0, ""), words


def test_words_are_shown_as_they_are_and_none_is_taken_for_a_picture(operator: Operator) -> None:
    operator.write(":x:.yaml", "type: fleet\nname: [bold]\n")
    done = operator.run("facts", "--cluster", ":x:.yaml")
    assert done.returncode == 2
    assert ":x:.yaml:2: 'name' is a list, not text" in done.stderr


def test_a_place_for_state_that_cannot_be_written_is_told_before_anything_is_contacted(
    operator: Operator,
) -> None:
    operator.write("cluster.yaml", GOOD)
    for command in ("bootstrap", "teardown", "facts"):
        done = operator.run(command, XDG_STATE_HOME="/proc")
        assert "Traceback" not in done.stderr
        assert "/proc/clusterboot/mine" in error_of(done.stderr)
        assert "cannot be written" in error_of(done.stderr)


def test_a_place_for_results_that_cannot_be_written_is_refused(operator: Operator) -> None:
    operator.write("cluster.yaml", GOOD)
    operator.write("file", "")
    for command in ("bootstrap", "nccl-test", "link-map"):
        assert "is no folder" in refused(operator, command, "--results-dir", "file/below")
    assert "there is nothing in it" in refused(operator, "bootstrap", "--results-dir", "")
    assert "is no folder" in error_of(operator.run("bootstrap", CLUSTERBOOT_RESULTS="file").stderr)


def test_every_fault_of_a_lab_is_a_line_of_its_own_in_a_pipe(operator: Operator) -> None:
    told = operator.run("lab.break", "n1", "help").stdout.splitlines()
    assert len(told) == len(FAULTS)
    assert [line.split()[0].partition(":")[0].partition("[")[0] for line in told] == list(FAULTS)


def test_what_cannot_be_copied_is_refused(operator: Operator) -> None:
    operator.write("cluster.yaml", GOOD)
    operator.write("file", "x")
    os.mkfifo(operator.folder / "pipe")
    assert "FILE [DEST]" in refused(operator, "copy")
    assert "FILE [DEST]" in refused(operator, "copy", "file", "there", "more")
    assert "No such file" in refused(operator, "copy", "nowhere")
    for other in (".", "pipe"):
        assert "no regular file" in refused(operator, "copy", other)
    done = operator.run("copy", "file", "/opt/x", "--dry-run")
    assert (done.returncode, done.stdout.split(" (")[0]) == (0, "Would copy file")
    assert done.stdout.endswith("to /opt/x on n1\n")
