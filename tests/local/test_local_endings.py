"""Commands by endings, on homes of this machine: what is said at the end is what was done."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context as InvokeContext
from invoke.exceptions import Exit
from local_cluster import LocalCluster

from clusterboot.commands.bootstrap import bootstrap
from clusterboot.report.about import About
from clusterboot.report.terminal import Terminal
from clusterboot.session.local import locally
from clusterboot.tasks import (
    bootstrap_task,
    facts_task,
    rotate_keys_task,
    run_task,
    teardown_task,
)
from clusterboot.tasks.cli.command import Call, Outcome

COMMANDS = {
    "bootstrap": (bootstrap_task, bootstrap_task.bootstrap_task, {}),
    "facts": (facts_task, facts_task.facts_task, {}),
    "run": (run_task, run_task.run_task, {"words": ["echo", "hello"]}),
    "rotate-keys": (rotate_keys_task, rotate_keys_task.rotate_keys_task, {}),
    "teardown": (teardown_task, teardown_task.teardown_task, {}),
}
# The exit code, the headline's beginning, its state, and what the next step has in it.
ENDINGS: dict[str, tuple[int, str, str, str]] = {
    "ok": (0, "ok on all 3 nodes", "ok", ""),
    "partial": (3, "ok on 2 of 3 nodes; n3 unreachable", "partial", "n3: "),
    "none reached": (4, "no node was reached; n[1-3] unreachable", "bad", "n[1-3]: "),
    "dry run": (0, "dry run", "dry run", ""),
    "interrupted": (130, "not finished: interrupted", "inconclusive", "run it again"),
}


class Stopping(Terminal):
    """Is interrupted where the first stage begins."""

    def stage(self, title: str, count: int) -> None:
        raise KeyboardInterrupt


Ran = tuple[int, About, str, str]


@pytest.fixture
def run(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """A function that runs a command's task on the homes, some of them away, and gives how it ended."""
    told: list[About] = []
    finish = Call.finish

    def finishing(call: Call, outcome: Outcome) -> None:
        told.append(call._about(outcome))
        finish(call, outcome)

    monkeypatch.setattr(Call, "finish", finishing)
    monkeypatch.chdir(cluster.folder)

    def run_(command: str, *, away: tuple[str, ...] = (), ending: str = "ok", **more: Any) -> Ran:
        module, task, own = COMMANDS[command]
        own = {name: more.pop(name, value) for name, value in own.items()}

        def context(call: Call, shared: Any, **_: Any) -> Any:
            call.cluster, call.deadline_s = "local", more.get("deadline_s")
            events = Stopping(call.messages, None) if ending == "interrupted" else call.terminal
            reach = locally(cluster.without(*away))
            return cluster.context(events=events, reach=reach, dry_run=shared["dry_run"], **more)

        monkeypatch.setattr(module, "context", context)
        names = {argument.attr_name or argument.name for argument in task.get_arguments()}
        unset = dict.fromkeys({"cluster", "hosts", "results_dir"} & names)
        shared = {**unset, "accept_new": False, "exclude": "", "fanout": "", "deadline": ""}
        with pytest.raises(Exit) as ended:
            task(InvokeContext(), **shared, **own, dry_run=ending == "dry run")
        out, err = capsys.readouterr()
        return ended.value.code, told[-1], out, err

    return run_


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_end_of_a_command_says_what_was_done(
    cluster: LocalCluster, run: Callable[..., Ran], command: str, ending: str
) -> None:
    if command in ("rotate-keys", "teardown"):
        bootstrap(cluster.context(), "none")
    if (command, ending) == ("facts", "dry run"):
        # It never changes anything.
        return
    away = {"partial": ("n3",), "none reached": tuple(cluster.homes)}.get(ending, ())
    before = cluster.contents()
    code, about, out, err = run(command, away=away, ending=ending)
    expected, headline, state, step = ENDINGS[ending]
    if command == "run" and ending == "dry run":
        assert about.hosts == ()
    else:
        assert [host.name for host in about.hosts] == ["n1", "n2", "n3"]
    assert (code, about.headline.state) == (expected, state)
    assert about.headline.text.startswith(headline)
    assert step in (about.next_step or "") or command == "run"
    if about.next_step and ending != "interrupted":
        assert out.splitlines()[-1] == f"Next: {about.next_step}"
    if state != "ok" and ending != "interrupted" and not (command == "run" and ending == "dry run"):
        assert about.headline.text in out
    for host in about.hosts:
        if host.status == "unreachable":
            assert re.search(rf"{host.status} {host.stage}: {re.escape(str(host.cause))}", out)
    if ending in ("none reached", "dry run", "interrupted"):
        assert cluster.contents() == before
        assert not re.search(r"changed on|in place|[Hh]ostfiles|Took back|Keys: new|Nothing of", out + err)
    for folder in re.findall(r"Hostfiles: in (\S+)/", out):
        assert (cluster.folder / "first" / folder).is_dir() or Path(folder).is_dir()


def test_a_deadline_is_called_one(run: Callable[..., Ran]) -> None:
    code, about, out, _ = run("run", words=["sleep", "86399"], deadline_s=2.0)

    assert code == 4
    assert about.headline.state == "inconclusive"
    assert about.headline.text == "not finished: --deadline ended it; n[1-3] unreachable"
    assert about.next_step == "the same command with a --deadline longer than 2 s"
    assert about.headline.text in out
