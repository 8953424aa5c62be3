"""Two operators, each with a state of their own, and one cluster: they see each other in its homes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from local_cluster import LocalCluster

from clusterboot.commands.bootstrap import bootstrap
from clusterboot.commands.rotate_keys import rotate
from clusterboot.commands.teardown import teardown
from clusterboot.errors import ExitCode, PartialError
from clusterboot.session.context import Context
from clusterboot.session.events import Silence

CHANGES: dict[str, Callable[[Context], object]] = {
    "bootstrap": lambda context: bootstrap(context, "none"),
    "rotate-keys": rotate,
    "teardown": teardown,
}


class Meanwhile(Silence):
    """Does something once, as a stage of a command begins."""

    def __init__(self, title: str, act: Callable[[], object]) -> None:
        self._title: str | None = title
        self._act = act

    def stage(self, title: str, count: int) -> None:
        if title == self._title:
            self._title = None
            self._act()


def claims(cluster: LocalCluster) -> list[Path]:
    paths = (cluster.home(name) / ".ssh/clusterboot/local/changing" for name in cluster.homes)
    return [path for path in paths if path.exists()]


@pytest.mark.parametrize(
    ("command", "stage"), [("rotate-keys", "new keys in"), ("teardown", "files restored")]
)
def test_what_one_has_begun_no_other_comes_between(cluster: LocalCluster, command: str, stage: str) -> None:
    bootstrap(cluster.context(), "none")
    refused = []

    def others() -> None:
        before = cluster.contents()
        for change in CHANGES.values():
            with pytest.raises(PartialError, match="somebody else changes this cluster: ") as refusal:
                change(cluster.context("second"))
            refused.append(refusal.value)
        assert cluster.contents() == before
        assert len(claims(cluster)) == 3

    CHANGES[command](cluster.context(events=Meanwhile(stage, others)))
    assert len(refused) == 3
    assert all(f" with {command}, since " in error.cause for error in refused)
    assert all("remove ~/.ssh/clusterboot/local/changing" in str(error.remedy) for error in refused)
    assert claims(cluster) == []
    assert bootstrap(cluster.context("second"), "full").login_failures == ()


@pytest.mark.parametrize("kind", ["fifo", "folder", "words"])
def test_what_stands_in_the_claims_place_holds_nobody_up(cluster: LocalCluster, kind: str) -> None:
    bootstrap(cluster.context(), "none")
    path = cluster.home("n1") / ".ssh/clusterboot/local/changing"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff\0" * 100000)
        os.utime(path, (0, 0))
    assert rotate(cluster.context()).finished
    assert claims(cluster) == []


def test_keys_that_another_has_changed_meanwhile_stay(cluster: LocalCluster) -> None:
    bootstrap(cluster.context(), "none")
    bootstrap(cluster.context("second"), "none")
    before = cluster.own_lines("n1")
    # So that there is something to do.
    (cluster.home("n2") / ".ssh/clusterboot/local/known_hosts").unlink()
    events = Meanwhile("nodes claimed", lambda: rotate(cluster.context("second")))
    with pytest.raises(PartialError, match="its key is another one than a moment ago"):
        bootstrap(cluster.context(events=events), "none")

    rotated = cluster.own_lines("n1")
    assert set(rotated).isdisjoint(before)
    assert claims(cluster) == []
    assert bootstrap(cluster.context(), "full").login_failures == ()
    assert cluster.own_lines("n1") == rotated


def test_two_operators_have_hostfiles_of_their_own(cluster: LocalCluster) -> None:
    texts = set()
    for operator in ("first", "second"):
        assert bootstrap(cluster.context(operator), "launch").exit_code == ExitCode.OK
        folder = cluster.folder / operator / "hostfiles/local"
        assert re.search(
            rf"(?m)^ *UserKnownHostsFile {folder}/known_hosts$", (folder / "ssh_config").read_text()
        )
        texts.add((folder / "openmpi").read_text())
    assert len(texts) == 1
