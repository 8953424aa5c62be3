"""Commands and scripts on nodes that are homes on this machine."""

from __future__ import annotations

import sys
from collections import defaultdict

import pytest
from local_cluster import LocalCluster

from clusterboot.commands.run_command import command_text, run_job, script_job, shell_job
from clusterboot.nodes.lines import ErrorLines, SectionLines


def test_each_word_of_a_command_arrives_as_it_was_typed(cluster: LocalCluster) -> None:
    words = ["a b", "", "*", "$HOME", "$(touch canary)", "; touch canary", "'\"\\", "-x\n", "ü"]
    said = run_job(cluster.context(), shell_job(command_text(["printf", "<%s>", *words])), 60)

    expected = "".join(f"<{word}>" for word in words).encode()
    assert {answer.stdout for answer in said.answers.values()} == {expected}
    assert not [path for path in cluster.contents() if "canary" in path]


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ('echo "$#" "$1" "$HOME"', ["a b"], "1 a b {home}\n"),
        ("#!/bin/sh -e\nfalse\necho not here", [], ""),
        ("#! /usr/bin/env bash\n[[ $2 == b ]] && echo ${BASH_VERSION:+bash}\n", ["a", "b"], "bash\n"),
        (f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\n", ["$x", "'"], "['$x', \"'\"]\n"),
        ("cat <<'EOF'\n$(id) \\\nEOF\n", [], "$(id) \\\n"),
        ("# " + "x" * 200_000 + "\necho long\n", [], "long\n"),
    ],
    ids=["sh", "option", "env", "python", "here-document", "long"],
)
def test_a_script_runs_with_its_interpreter_and_leaves_nothing(
    cluster: LocalCluster, text: str, arguments: list[str], expected: str
) -> None:
    before = cluster.contents()
    said = run_job(cluster.context(), script_job("script", text.encode(), arguments), 60)

    for name, answer in said.answers.items():
        assert answer.stdout.decode() == expected.format(home=cluster.home(name)), answer.stderr
    assert cluster.contents() == before


def test_a_script_is_on_record_by_its_digest(cluster: LocalCluster) -> None:
    run_job(cluster.context(), script_job("check.sh", b"password=hunter2\n", ["-v"]), 60)

    text = (cluster.folder / "first/state/audit.jsonl").read_text()
    assert "run script check.sh sha256 " in text
    assert "hunter2" not in text


def test_lines_come_while_the_command_still_runs(cluster: LocalCluster) -> None:
    """The command of a host ends only when a line of its own has been seen here."""
    came: dict[tuple[str, str], list[bytes]] = defaultdict(list)

    def on_line(host: str, stream: str, line: bytes) -> None:
        came[host, stream].append(line)
        if line == b"first":
            (cluster.home(host) / "seen").touch()

    command = (
        "echo first; until [ -e seen ]; do sleep 0.05; done; echo; echo two >&2; printf 'last\\n\\n'; exit 3"
    )
    said = run_job(cluster.context(), shell_job(command), 300, on_line)

    for name in cluster.homes:
        assert came[name, "stdout"] == [b"first", b"", b"last"]
        assert came[name, "stderr"] == [b"two"]
        assert said.answers[name].exit_code == 3


@pytest.mark.parametrize("size", [13, 200_000])
def test_lines_are_the_same_in_whatever_pieces_they_come(size: int) -> None:
    came: list[tuple[str, bytes]] = []
    frame = b"noise\n\nN begin\n\nN section command\n%b\nN exit command 0\n\nN end\n"
    said = frame % (b"one\n\n\ntwo\n" + b"x" * 100_000 + b"\nthree")
    lines = SectionLines("N", lambda stream, line: came.append((stream, line)))
    for at in range(0, len(said), size):
        lines(said[at : at + size])

    text = [line for _, line in came]
    assert text[:4] == [b"one", b"", b"", b"two"]
    assert b"".join(text[4:-1]) == b"x" * 100_000
    assert text[-1] == b"three"
    assert lines.told_all


def test_a_last_line_without_an_end_is_passed_on() -> None:
    came: list[bytes] = []
    lines = ErrorLines(lambda _, line: came.append(line))
    lines(b"one\ntw")
    assert came == [b"one"]
    lines.end()
    assert came == [b"one", b"tw"]
