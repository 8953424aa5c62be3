"""A line of a run's output lays a failure at nobody who does not bear it out."""

from __future__ import annotations

import pytest

from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import LogJudgement
from clusterboot.run.reap import BadEnd
from clusterboot.run.runend import RunEnd
from clusterboot.verdict.verdict import judge
from clusterboot.verdict.witnessed import witnessed

NAMES = {"n1": "n1", "n2": "n2", "n3": "n3", "10.0.0.2": "n2", "gpu-b": "n2"}
KILLED = "mpirun noticed that process rank 1 with PID 77 on node {host} exited on signal 9 (Killed)."
LINES = [
    KILLED,
    "prterun noticed that process rank 1 with PID 77 on node {host} exited on signal 11 (Segv).",
    "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 7 RUNNING AT {host}\n=   EXIT CODE: 9",
    "{host}: Test NCCL failure common.cu:958 'unhandled system error / '",
    "[{host}:77:0:77] Caught signal 11 (Segmentation fault: address not mapped to object at address (nil))",
    "ssh: connect to host {host} port 22: Connection refused",
    "ubuntu@{host}: Permission denied (publickey).",
]


def judged(text: str, **bad_ends: tuple[BadEnd, ...] | None) -> LogJudgement:
    end = RunEnd("exited", 1, bad_ends=bad_ends)
    return witnessed(judge(parse_log(f"{text}\n".encode()), ended=end), end, NAMES)


def hosts(judgement: LogJudgement) -> set[str | None]:
    return {problem.host for problem in judgement.overall.problems}


@pytest.mark.parametrize("line", LINES)
def test_who_says_nothing_of_itself_is_not_named(line: str) -> None:
    said = judged(line.format(host="n2"), n1=(), n2=(), n3=())

    assert hosts(said) == {None}
    assert said.overall.reason.startswith("the output says of n2, which does not bear it out: ")


@pytest.mark.parametrize("line", LINES)
def test_who_says_it_too_or_does_not_answer_is_named_as_the_cluster_file_has_it(line: str) -> None:
    for host in ("n2", "10.0.0.2", "gpu-b"):
        assert hosts(judged(line.format(host=host), n1=(), n2=(BadEnd(1, 137),), n3=())) == {"n2"}
        assert hosts(judged(line.format(host=host), n1=(), n2=None, n3=())) == {"n2"}


def test_a_signal_is_not_borne_out_by_an_exit_code() -> None:
    said = judged(KILLED.format(host="n2"), n2=(BadEnd(1, 1),), n3=(BadEnd(2, 137),))

    assert hosts(said) == {None, "n3"}
    assert said.overall.problems[0].text == "its rank 2 ended by signal 9"


def test_a_name_that_no_node_has_is_nobodys() -> None:
    assert hosts(judged(KILLED.format(host="backup.example"), n2=())) == {None}


def test_nobody_is_picked_out_where_several_say_the_same_of_themselves() -> None:
    ends = {"n1": (BadEnd(0, 1),), "n2": (BadEnd(1, 1),), "n3": (BadEnd(2, 1),)}

    assert hosts(judged("something else", **ends)) <= {None}
    assert hosts(judged("something else", **{**ends, "n3": (BadEnd(2, 139),)})) == {"n3"}
