"""The help, and what is said to options that a command has not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from invoke.parser.context import to_flag
from local_cluster import LocalCluster, local_cluster

from clusterboot.inventory.loader import load
from clusterboot.scrub import Scrubber
from clusterboot.tasks import namespace
from clusterboot.tasks.cli.help import EXAMPLES, GROUPS, page
from clusterboot.tasks.cli.options import for_this_launch
from clusterboot.tasks.cli.plain_words import CommandTask, split, unknown
from operator_fixture import Operator

COMMANDS = sorted(namespace.task_names)
CONTEXTS = {str(context.name): context for context in namespace.to_contexts()}


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    return local_cluster(tmp_path, nodes=1)


def task_of(name: str) -> CommandTask:
    task = namespace[name]
    assert isinstance(task, CommandTask)
    return task


@pytest.mark.parametrize("name", COMMANDS)
def test_each_page_has_purpose_example_and_all_options_with_what_they_take(name: str) -> None:
    task = task_of(name)
    text = page("clusterboot", name, task, CONTEXTS[name].args.values(), 80)
    assert text.startswith(f"Usage: clusterboot {name} [OPTIONS]")
    assert f"\n  clusterboot {name}" in text
    assert "VALUE" not in text
    plain = {to_flag(str(each.name)) for each in CONTEXTS[name].args.values() if each.positional}
    plain |= {f"--{task.words.option}"} if task.words else set()
    shown = re.findall(r"^  (--?[a-z-]+)( \S+)?", text, re.MULTILINE)
    assert [flag for flag, _ in shown if flag not in task.options] == []
    assert {flag for flag, value in shown if value.strip()} == task.valued - plain
    assert {flag for flag, _ in shown} == task.options - plain
    assert max(map(len, text.splitlines())) <= 80


def test_a_page_is_shown_however_it_is_asked_for(operator: Operator) -> None:
    for name in ("run", "lab.break"):
        asked = operator.run("help", name)
        assert asked.stdout == page("clusterboot", name, task_of(name), CONTEXTS[name].args.values(), 80)
        for words in (("--help", name), (name, "--help"), (name, "--json", "-h")):
            assert operator.run(*words).stdout == asked.stdout


@pytest.mark.parametrize("columns", [50, 100, 300])
def test_no_line_of_help_is_wider_than_the_terminal(operator: Operator, columns: int) -> None:
    for words in (("help",), ("help", "run")):
        lines = operator.run(*words, COLUMNS=str(columns)).stdout.splitlines()
        # Examples are to be copied whole.
        wide = [line for line in lines if len(line) > min(columns, 100) and "clusterboot " not in line]
        assert not wide


def test_the_overview_names_every_command_and_is_what_is_shown_without_one(operator: Operator) -> None:
    shown = operator.run("help").stdout
    for name in COMMANDS:
        assert len(re.findall(rf"^  {re.escape(name)}  ", shown, re.MULTILINE)) == 1
    assert operator.run().stdout == operator.run("--help").stdout == shown
    assert "lab.break" in operator.run("help", "lab").stdout
    assert "--print-completion-script" in operator.run("help", "invoke").stdout
    assert "--print-completion-script" not in shown


@pytest.mark.parametrize("example", [(name, each) for name in COMMANDS for each in EXAMPLES[name]])
def test_examples_are_command_lines(example: tuple[str, str]) -> None:
    name, line = example
    task = task_of(name)
    first, *words = shlex.split(line)
    assert first == name
    if task.words is not None:
        words, _ = split(task, task.words, words)
    assert unknown(task, words, ()) is None


def test_an_option_is_in_one_group_alone() -> None:
    grouped = [option for group in GROUPS.values() for option in group]
    assert len(grouped) == len(set(grouped))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nccl-test", "-g", "8"), "there is no option -g; --procs-per-node N"),
        (("nccl-test", "-g8"), "--procs-per-node N"),
        (("nccl-test", "-np", "8"), "--procs-per-node N"),
        (("nccl-test", "-x", "A=b"), "--env K=V"),
        (("nccl-test", "--iters=3"), "-n N"),
        (("link-map", "--mca", "btl", "tcp"), "--mpi-args"),
        (("run", "-w", "n1", "uptime"), "--hosts NODESET"),
        (("facts", "--host=n1"), "--hosts NODESET"),
        (("facts", "-f", "8"), "--fanout N"),
        (("bootstrap", "--dryrun"), "did you mean --dry-run?"),
        (("bootstrap", "--debug"), "it stands before bootstrap"),
        (("report", "--hosts", "n1"), "there is no option --hosts"),
        (("bootstap",), "there is no command 'bootstap'; did you mean bootstrap?"),
        (("help", "nosuch"), "there is no command 'nosuch'"),
        (("run", "--hosts"), "--hosts"),
    ],
)
def test_a_wrong_option_is_answered(operator: Operator, words: tuple[str, ...], told: str) -> None:
    done = operator.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_variables_and_words_for_a_launch_go_where_the_cluster_files_go(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "hunter2")
    loaded = load(cluster.cluster_file, ssh_config=cluster.folder / "ssh_config")
    launched = for_this_launch(loaded, ["A=b=c", "API_TOKEN", "B="], "--mca x 'a; b'")

    assert launched.env == {"A": "b=c", "API_TOKEN": "hunter2", "B": ""}
    assert launched.options.mpi.args == ("--mca", "x", "a; b")
    assert b"hunter2" not in Scrubber.of(launched.env)(b"token hunter2")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--env", "NOSUCH"), "'NOSUCH' is not set where clusterboot runs"),
        (("--env", "a b=hunter2"), "'a b' is not a variable's name"),
        (("--env", "A=hunter2\n"), "the value of 'A' has a NUL or a line break"),
        (("--mpi-args", "--mca 'a"), "No closing quotation"),
    ],
)
def test_a_bad_variable_is_refused_and_its_value_not_shown(
    operator: Operator, words: tuple[str, ...], told: str
) -> None:
    operator.write("cluster.yaml", "type: fleet\nname: mine\nssh_config: {user: me, hosts: [n1]}\n")
    for command in ("nccl-test", "link-map")[: 2 if "NOSUCH" in words else 1]:
        done = operator.run(command, *words)
        assert done.returncode == 2
        assert told in done.stderr
        assert "hunter2" not in done.stdout + done.stderr
