"""Questions of many threads become one step."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from patience import HANGS_S

from clusterboot.errors import UnreachableError
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section
from clusterboot.slurm.gathering import Gathering, Pending

QUESTION = Question.of_one(Section("x", "true"), lambda said: said.text, "facts")


def work(gathering: Gathering, name: str, times: int) -> None:
    for _ in range(times):
        gathering.ask(Pending(name, QUESTION, None))
    gathering.leave()


def test_what_all_ask_is_asked_in_one_step_and_who_ends_is_not_waited_for() -> None:
    batches: list[list[str]] = []

    def answer(batch: Sequence[Pending]) -> None:
        batches.append(sorted(pending.name for pending in batch))

    gathering = Gathering(answer, 3)
    threads = [
        threading.Thread(target=work, args=(gathering, name, times), daemon=True)
        for name, times in (("n1", 3), ("n2", 1), ("n3", 2))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS_S)
    assert batches == [["n1", "n2", "n3"], ["n1", "n3"], ["n1"]]


def test_a_step_that_fails_is_everyones_error() -> None:
    def answer(_batch: Sequence[Pending]) -> None:
        raise UnreachableError("gone")

    with pytest.raises(UnreachableError, match="gone"):
        Gathering(answer, 1).ask(Pending("n1", QUESTION, None))
