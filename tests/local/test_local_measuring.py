"""Two measurements at once, of one operator and of two: the second is told of the first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from local_cluster import LocalCluster

from clusterboot import interrupts
from clusterboot.commands.bootstrap import bootstrap
from clusterboot.commands.teardown import teardown
from clusterboot.errors import ExitCode, PartialError
from clusterboot.session.context import Context
from clusterboot.session.events import Silence
from clusterboot.trust import measuring_claim
from clusterboot.trust.measuring_claim import measuring


@pytest.fixture
def cluster(make_cluster: Callable[..., LocalCluster]) -> LocalCluster:
    """A cluster whose nodes have clusterboot's folder."""
    made = make_cluster()
    bootstrap(made.context(), "none")
    return made


@contextmanager
def measured(context: Context, command: str = "nccl-test", *, wait: bool = False) -> Iterator[None]:
    with context.visit() as visit, measuring(visit, command, wait=wait) as claim:
        claim()
        yield


def claims(cluster: LocalCluster) -> list[Path]:
    return [
        path for name in cluster.homes for path in cluster.home(name).glob(".ssh/clusterboot/*/measuring*")
    ]


class Told(Silence):
    """Keeps what is said, and does something when it is."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.lines: list[str] = []
        self.act = act

    def note(self, line: str) -> None:
        self.lines.append(line)
        self.act()


def test_a_second_measurement_of_one_operator_is_refused_before_anything_is_contacted(
    cluster: LocalCluster,
) -> None:
    with measured(cluster.context(), "link-map"):
        again = cluster.context(exclude="n3")
        audit = cluster.folder / "first/state/audit.jsonl"
        before = audit.read_bytes()
        with pytest.raises(PartialError) as refused, measured(again):
            pass
        assert audit.read_bytes() == before
    error = refused.value
    assert (error.host, error.stage, error.exit_code) == ("n[1-2]", "launch", ExitCode.PARTIAL)
    assert "another measurement is at work there: " in error.cause
    assert f"from this machine, process {os.getpid()} with link-map, since " in error.cause
    assert "--wait" in str(error.remedy)


def test_measurements_of_different_nodes_go_beside_each_other(cluster: LocalCluster) -> None:
    with measured(cluster.context(exclude="n3")), measured(cluster.context(exclude="n[1-2]")):
        assert len(claims(cluster)) == 3
    assert claims(cluster) == []


def test_another_operator_is_told_by_the_nodes_and_comes_next(cluster: LocalCluster) -> None:
    with measured(cluster.context(exclude="n1")):
        before = cluster.contents()
        second = cluster.context("second")
        with pytest.raises(PartialError, match="another measurement") as refused, measured(second):
            pass
        assert refused.value.host == "n[2-3]"
        assert " with nccl-test, since " in refused.value.cause
        assert "measuring.* on n2" in str(refused.value.remedy)
        assert cluster.contents() == before
    with measured(cluster.context("second")):
        assert len(claims(cluster)) == 3
    assert claims(cluster) == []


@pytest.mark.parametrize("operator", ["first", "second"])
def test_who_waits_begins_when_the_other_has_ended(
    cluster: LocalCluster, operator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring_claim, "_AGAIN_S", 0.05)
    # The two are of one process here and do not end one inside the other, as what each does with Ctrl-C must.
    with interrupts.noted_only(), ExitStack() as first:
        first.enter_context(measured(cluster.context()))
        told = Told(first.close)
        with measured(cluster.context(operator, events=told), wait=True):
            assert len(claims(cluster)) == 3
    (line,) = told.lines
    assert line.startswith("waiting for ")
    assert "with nccl-test" in line
    assert claims(cluster) == []


def test_who_waits_is_refused_at_the_deadline(cluster: LocalCluster) -> None:
    with measured(cluster.context()):
        late = cluster.context(deadline_s=0.2)
        with pytest.raises(PartialError, match="another measurement"), measured(late, wait=True):
            pass


def test_a_bootstrap_goes_beside_a_measurement(cluster: LocalCluster) -> None:
    with measured(cluster.context()):
        for operator in ("first", "second"):
            assert bootstrap(cluster.context(operator), "none").exit_code == ExitCode.OK
        assert len(claims(cluster)) == 3


def test_what_a_killed_command_left_is_in_nobodys_way_who_left_it(cluster: LocalCluster) -> None:
    kept = {}
    with measured(cluster.context()):
        here = cluster.folder / "first/state/measuring"
        kept = {path: path.read_bytes() for path in (*here.iterdir(), *claims(cluster))}
    for path, content in kept.items():
        path.write_bytes(content)

    with pytest.raises(PartialError), measured(cluster.context("second")):
        pass
    with measured(cluster.context()):
        pass
    assert (claims(cluster), list(here.iterdir())) == ([], [])


def test_an_interrupted_measurement_lets_go(cluster: LocalCluster) -> None:
    with pytest.raises(KeyboardInterrupt), measured(cluster.context()):
        raise KeyboardInterrupt
    assert claims(cluster) == []


def test_a_claim_that_was_left_behind_goes_with_a_teardown(cluster: LocalCluster) -> None:
    with measured(cluster.context()):
        kept = {path: path.read_bytes() for path in claims(cluster)}
    for path, content in kept.items():
        path.write_bytes(content)
    assert teardown(cluster.context()).exit_code == ExitCode.OK
    assert [path for path in cluster.contents() if "clusterboot" in path] == []
