"""The page on users' own tasks: each example is a task that Invoke takes and that does what it says."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from invoke.collection import Collection
from invoke.context import Context

import clusterboot

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "your-own-tasks.md").read_text(), re.DOTALL)


class Node(NamedTuple):
    name: str


class Recorder:
    """A group of one node that notes what it is asked to do."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, method: str) -> Any:
        def note(*args: Any, **_: Any) -> dict[Any, Any]:
            self.calls.append((method, args))
            return {Node("n1"): SimpleNamespace(stdout="version 5\n")}

        return note


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: re.findall(r"def (\w+)", text)[0])
def test_each_example_is_a_task_and_runs(
    example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = Recorder()

    @contextmanager
    def connect(cluster: str, **options: Any) -> Iterator[Recorder]:
        assert cluster == "cluster.yaml"
        assert set(options) <= {"hosts", "exclude", "accept_new", "fanout", "deadline_s"}
        yield nodes

    monkeypatch.setattr(clusterboot, "connect", connect, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda _: "secret")
    module = ModuleType("own")
    monkeypatch.setitem(sys.modules, "own", module)
    exec(example, module.__dict__)  # noqa: S102  # the page's own code

    (task,) = Collection.from_module(module).tasks.values()
    task(Context())
    assert nodes.calls
    assert "secret" not in capsys.readouterr().out


def test_the_page_has_a_first_example_and_three_more() -> None:
    assert len(EXAMPLES) == 4
