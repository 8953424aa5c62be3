"""What one node sends, or does not: it is named for that, soon, and no other node has any harm of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import HANGS_S
from start_files import start_up

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

OWN = ".ssh/clusterboot/{lab}"
# To make a device takes root; what a user can make is tried in homes on this machine.
PLACES = [".ssh/config", f"{OWN}/known_hosts", f"{OWN}/id_ed25519.pub"]
# What a start-up file prints or waits for before any script of clusterboot's is read.
TALKERS = {
    "without an end": "yes",
    "on standard error": "yes >&2",
    "without a line's end": "tr '\\0' x </dev/zero",
    "a byte at a time": "while :; do printf x; sleep 1; done",
    "nothing": "sleep 3600",
}


@pytest.fixture(scope="module")
def bed(bootstrapped: Callable[[int], tuple[labs.Lab, Operator]]) -> tuple[labs.Lab, Operator]:
    return bootstrapped(3)


@pytest.fixture
def moved(bed: tuple[labs.Lab, Operator]) -> Iterator[Moved]:
    moved = Moved(*bed)
    yield moved
    moved.back()


class Moved:
    """The lab, with a file of its second node's moved away for something else."""

    def __init__(self, lab: labs.Lab, operator: Operator) -> None:
        self.lab, self.operator = lab, operator
        self._away: list[tuple[Path, Path]] = []

    def put(self, place: str) -> None:
        home = self.lab.home("n2")
        path = home / place.format(lab=self.lab.name)
        kept = path.with_name(f"{path.name}.kept-by-the-test")
        if path.exists():
            path.rename(kept)
        self._away.append((path, kept))
        os.mknod(path, 0o20666, os.makedev(1, 5))
        os.chown(path, home.stat().st_uid, home.stat().st_gid)

    def back(self) -> None:
        for path, kept in self._away:
            path.unlink(missing_ok=True)
            if kept.exists():
                kept.rename(path)

    def document(self, *args: str, expect: int) -> dict[str, dict[str, Any]]:
        """Run a command, and give what became of each host."""
        said = self.operator.document(*args, "--cluster", str(self.lab.cluster_file), expect=expect)
        return {host["name"]: host for host in said["hosts"]}


@pytest.mark.parametrize("place", PLACES)
def test_a_device_in_a_files_place_is_named_and_the_others_are_done(moved: Moved, place: str) -> None:
    moved.put(place)

    for command in ("bootstrap", "rotate-keys"):
        hosts = moved.document(command, expect=3)
        assert (hosts["n2"]["status"], hosts["n2"]["stage"]) == ("failed", "keys")
        cause = hosts["n2"]["cause"]
        assert cause.startswith(f"~/{place.format(lab=moved.lab.name)} "), cause
        assert re.search("device|no regular file", cause)
        assert {hosts[name]["status"] for name in ("n1", "n3")} == {"ok"} or command == "rotate-keys"


def test_a_teardown_takes_nothing_from_a_node_whose_files_it_cannot_read(moved: Moved) -> None:
    moved.put(".ssh/config")

    hosts = moved.document("teardown", "--hosts", "n2", expect=3)

    assert "~/.ssh/config is not touched" in hosts["n2"]["cause"]
    assert (moved.lab.home("n2") / OWN.format(lab=moved.lab.name)).is_dir()


@pytest.mark.parametrize("command", ["bootstrap", "facts"])
@pytest.mark.parametrize("path", ["/etc/machine-id", "/etc/ssh/ssh_host_x_key.pub"])
def test_a_fifo_among_the_systems_files_is_named(moved: Moved, path: str, command: str) -> None:
    name = moved.lab.name
    labs.node_exec(name, "n2", ["sh", "-c", f"mv {path} {path}.kept; mkfifo {path}"])
    try:
        hosts = moved.document(command, expect=3)
        assert f"{path} is no regular file" in hosts["n2"]["cause"]
        assert (hosts["n1"]["status"], hosts["n3"]["status"]) == ("ok", "ok")
    finally:
        labs.node_exec(name, "n2", ["sh", "-c", f"rm {path}; [ ! -e {path}.kept ] || mv {path}.kept {path}"])


@pytest.mark.parametrize("words", [pytest.param(text, id=name) for name, text in TALKERS.items()])
@pytest.mark.parametrize("command", ["facts", "teardown"])
def test_a_node_that_talks_or_waits_for_ever_costs_the_others_nothing(
    moved: Moved, words: str, command: str
) -> None:
    with start_up(moved.lab, "n2", words):
        # Only what would be waited for without an end is to run into the deadline.
        deadline_s = 30 if "sleep" in words else HANGS_S
        hosts = moved.document(command, "--deadline", str(deadline_s), expect=3)
    assert {name: host["status"] for name, host in hosts.items() if host["status"] == "ok"} == {
        "n1": "ok",
        "n3": "ok",
    }
    assert hosts["n2"]["cause"]
