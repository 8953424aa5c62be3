from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from clusterboot.document import document, render
from clusterboot.errors import ExitCode, HostKeySeen, HostResult
from clusterboot.folding import fold
from clusterboot.programs.records import Placement, Row
from clusterboot.report import benchmark
from clusterboot.report.ending import show_failures
from clusterboot.report.terminal import Terminal

FINGERPRINT = "SHA256:ntrs1MdiZtDUMlZPd6XasP+q5DulmaEw9PRHhChn1uQ"


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=terminal, highlight=False)


def text_of(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def test_a_fingerprint_is_shown_whole_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    to = console(terminal=True)
    monkeypatch.setattr(to, "input", lambda _: "y")
    seen = [
        HostKeySeen(f"gpu{n:03}.cluster.example", "10.0.0.1", "ecdsa-sha2-nistp256", FINGERPRINT)
        for n in range(3)
    ]
    listener = Terminal(to, None)
    listener.stage("nodes", 3)
    assert listener.ask(seen) is True
    listener.finish()
    assert text_of(to).count(FINGERPRINT) == 3


@pytest.mark.parametrize(
    ("answer", "taken"), [("yes", True), ("Y", True), ("", False), ("n", False), ("maybe", False)]
)
def test_only_a_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch, answer: str, taken: bool) -> None:
    to = console()
    monkeypatch.setattr(to, "input", lambda _: answer)
    assert Terminal(to, None).ask([HostKeySeen("n1", "n1", "ssh-ed25519", FINGERPRINT)]) is taken


def test_without_a_terminal_a_stage_is_one_plain_line() -> None:
    to = console()
    listener = Terminal(to, None)
    listener.stage("nodes inspected", 3)
    listener.done("ok")
    listener.done("unreachable")
    listener.done("ok")
    listener.stage("keys installed", 0)
    listener.stage("logins from n1", 2)
    listener.done("failed", 2)
    listener.finish()
    assert text_of(to) == (
        "nodes inspected: 2 of 3 ok, 1 unreachable\n"
        "keys installed: none needed\n"
        "logins from n1: 0 of 2 ok, 2 failed\n"
    )


def test_what_runs_is_one_line_in_a_pipe() -> None:
    to = console()
    listener = Terminal(to, to)
    listener.note("a note " * 20)
    listener.bench("a benchmark " * 20)
    assert len(text_of(to).splitlines()) == 2


def test_one_failure_of_many_hosts_is_one_line_that_grep_finds_whole() -> None:
    to = console()
    cause = "head: connect: cannot connect to port 22: " + "refused " * 12
    show_failures(
        to,
        [
            HostResult(f"n{n}", "unreachable", stage="gateway", cause=cause, remedy="start it")
            for n in range(1, 65)
        ],
    )
    (line,) = text_of(to).splitlines()
    assert line.startswith("n[1-64] unreachable gateway: head: connect")
    assert line.endswith("; start it")


def test_what_a_node_says_cannot_steer_the_terminal() -> None:
    to = console(terminal=True)
    show_failures(
        to,
        [HostResult("n1", "failed", stage="facts", cause="\x1b]0;owned\x07\x1b[2J\u202ehello", remedy=None)],
    )
    shown = text_of(to)
    assert "hello" in shown
    for bad in ("\x1b]", "\x1b[2J", "\u202e", "\x07", "owned"):
        assert bad not in shown


def test_markup_in_what_a_node_says_is_text() -> None:
    to = console()
    show_failures(to, [HostResult("n1", "failed", stage="facts", cause="[bold]x[/nothing]", remedy=None)])
    assert "[bold]x[/nothing]" in text_of(to)


def test_hosts_fold_and_names_that_do_not_fold_stay() -> None:
    assert fold(["n1", "n2", "n3", "n7"]) == "n[1-3,7]"
    assert fold(["gpu[", "n1"]) == "gpu[,n1"


def test_rows_fit_80_columns_and_bars_show_the_better_placement() -> None:
    row = Row(
        17179869184, 4294967296, "bfloat16", "sum", -1,
        Placement(12345678.9, 480.123, 480.456, 0), Placement(99.5, 0.001, 0.002, None),
    )  # fmt: skip
    assert max(len(line) for line in (*benchmark.head("reduce_scatter", row), benchmark.line(row))) <= 80
    (bar,) = benchmark.bars([row])
    assert len(bar) <= 80
    assert "16 GiB" in bar
    assert "480.456" in bar


def test_a_document_is_strict_json_without_control_characters() -> None:
    made = document(
        "facts", cluster="lab", started="2026-01-01T00:00:00Z", duration_s=1.23456, exit_code=ExitCode.OK,
        hosts=[HostResult("n1", cause="a\x1b[31mb")], more={"nan": float("nan"), "inf": [float("inf")]},
    )  # fmt: skip
    read = json.loads(render(made), parse_constant=pytest.fail)
    assert read["hosts"][0]["cause"] == "ab"
    assert (read["nan"], read["inf"], read["duration_s"]) == (None, [None], 1.235)


def test_a_row_of_numbers_is_one_line_also_when_hardly_any_number_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [[None, 1.25, 0], [float("nan"), 2.5, float("-inf")], [1e-7, 12345678901.5, True]]
    known = [[None, 1.25, 0], [None, 2.5, None], [1e-7, 12345678901.5, True]]
    render({"before": [0.0, 1.0]})
    for most in (100_000, 0):
        monkeypatch.setattr("clusterboot.document._MOST_TEXTS", most)
        made = render({"rows": rows, "names": ["a\x1b[31m", "b"], "none": [], "deep": [{"x": ()}]})
        assert "\n    [null,1.25,0],\n    [null,2.5,null],\n" in made
        read = json.loads(made, parse_constant=pytest.fail)
        assert read == {"rows": known, "names": ["a", "b"], "none": [], "deep": [{"x": []}]}
