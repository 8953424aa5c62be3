"""A session with a home on this machine keeps what a session over SSH promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from local_cluster import LocalCluster

from clusterboot.errors import ClusterbootError
from clusterboot.nodes.question import Question, both
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit


@pytest.fixture
def visit(make_cluster: Callable[..., LocalCluster]) -> Iterator[Visit]:
    with make_cluster(nodes=2).context(deadline_s=60).visit() as visit:
        yield visit


def one(visit: Visit) -> Session:
    return visit.fleet.session(visit.good[0])


def text(name: str, script: str, timeout_s: float | None = None) -> Question[str]:
    return Question.of_one(Section(name, script), lambda said: said.text, "facts", timeout_s)


def test_bytes_errors_and_the_exit_status_come_back_as_they_are(visit: Visit) -> None:
    section = Section("raw", r"printf '\000\377\r\n'; echo no >&2; exit 7")
    question = Question((section,), lambda reply: (reply["raw"], reply.stderr), "facts")
    said, stderr = one(visit).ask(question)

    assert (said.stdout, said.exit_code, stderr) == (b"\0\xff\r\n", 7, b"no\n")


def test_two_questions_are_one_script(visit: Visit) -> None:
    question = both(text("one", "a=1; echo $PPID"), text("two", 'echo "${a:-none} $PPID"'))
    first, second = one(visit).ask(question)

    assert second == f"none {first}"


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("kill -9 $$; sleep 60", "the script was cut off"),
        ("yes", "printed more than 16 MiB"),
        ("sleep 86398", "no answer within 0.5 s"),
    ],
)
def test_what_is_no_answer_is_an_error_of_that_host(visit: Visit, script: str, cause: str) -> None:
    question = text("odd", script, 0.5 if "sleep 8" in script else None)
    outcomes = visit.fleet.each(
        visit.good, lambda s: s.ask(question if s.name == "n2" else text("a", "echo a"))
    )

    error = outcomes["n2"]
    assert isinstance(error, ClusterbootError)
    assert (error.host, cause in error.cause) == ("n2", True), error.cause
    assert outcomes["n1"] == "a\n"


def test_a_stream_is_passed_on_and_hears_its_operator(visit: Visit) -> None:
    said: list[bytes] = []
    script = b'echo ready; read -r word; echo "got $word" >&2; exit 3\n'
    errors: list[bytes] = []
    code = one(visit).stream(
        script, said.append, errors.append, "launch", hold_stdin=True, beat=lambda: b"hello\n"
    )

    assert (code, b"".join(said), b"".join(errors)) == (3, b"ready\n", b"got hello\n")


def test_a_second_session_is_asked_while_the_first_is_busy(visit: Visit) -> None:
    session = one(visit)
    answers: list[str] = []

    def ask(_: bytes) -> None:
        with session.beside() as second:
            answers.append(second.ask(text("go", 'echo "$HOME"; : >"$HOME/go"')))

    script = b'echo ready; until [ -e "$HOME/go" ]; do sleep 0.01; done\n'
    assert session.stream(script, ask, lambda _: None, "launch", timeout_s=30) == 0
    assert answers
