"""Homes as they must not be: each is named with what to do about it, left as it is, and hurts no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterboot import lab as labs
from clusterboot.lab.faults.homes import HOME_FAULTS
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

# A fault, or a few that make one together; what the node's row says: stage, cause, remedy.
EXPECTED = {
    "disk-full": ("keys", "No space left on device", "free disk space or inodes"),
    "inodes-gone": ("keys", "No space left on device", "free disk space or inodes"),
    "home-read-only": ("keys", "Read-only file system", "mount the home there writable"),
    "home-open": ("auth", "key refused for ubuntu", "mode of the home and that file"),
    "keys-open": ("auth", "key refused for ubuntu", "mode of the home and that file"),
    "keys-immutable": ("keys", "authorized_keys is not touched: it is a file that is immutable", "chattr"),
    "keys-link-away": ("keys", "a link that leaves the home", "a regular file of the user's own"),
    "keys-fifo": ("keys", "authorized_keys is not touched: a FIFO", "a regular file"),
    "keys-directory": ("keys", "authorized_keys is not touched: a directory", "a regular file"),
    "config-fifo": ("keys", "config is not touched: a FIFO", "a regular file"),
    "config-directory": ("keys", "config is not touched: a directory", "a regular file"),
    "config-broken": ("keys", "line 1: Bad configuration option: nosuchoption", "mend that line"),
    "home-gone": ("auth", "key refused for ubuntu", "mode of the home and that file"),
    "home-gone keys-elsewhere": ("keys", "the node's key could not be made: ", "owner and mode"),
}
# Found in the same round to be no obstacle.
FINE = ("keys-link", "", "")


@pytest.fixture(scope="module")
def broken(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    """A lab with one fault on each node, and two sound nodes."""
    lab = module_lab(nodes=len(EXPECTED) + len(FINE))
    for node, faults in zip(lab.nodes, (*EXPECTED, *FINE), strict=True):
        if "keys-elsewhere" in faults:
            place = lab.folder / node.name / "etc/ssh/authorized_keys.d"
            place.mkdir()
            (place / "ubuntu").write_bytes((lab.home(node.name) / ".ssh/authorized_keys").read_bytes())
        for fault in faults.split():
            labs.break_node(lab.name, node.name, fault)
    return lab


def files_of(lab: labs.Lab, node: str) -> str:
    """All that is no directory in a node's home as the node sees it, but for clusterboot's own folder."""
    look = (
        "cd /home/ubuntu 2>/dev/null && find . -path ./.ssh/clusterboot -prune -o ! -type d -print0 | sort -z"
    )
    kinds = "xargs -0 -r stat -c '%n %F %a %u %h %s %y'"
    sums = 'xargs -0 -r sh -c \'for f; do [ ! -f "$f" ] || sha256sum "$f"; done\' x'
    return labs.node_exec(lab.name, node, ["sh", "-c", f"{look} | {kinds}; {look} | {sums}"]).stdout


def test_every_fault_of_a_home_is_named_and_left_and_the_other_nodes_are_done(
    broken: labs.Lab, operator: Operator
) -> None:
    assert {fault for faults in (*EXPECTED, *FINE) for fault in faults.split()} >= set(HOME_FAULTS)
    nodes = [node.name for node in broken.nodes]
    before = {node: files_of(broken, node) for node in nodes}
    cluster = ("--cluster", str(broken.cluster_file))

    said = operator.run("bootstrap", "--json", *cluster)

    assert (said.returncode, "Traceback" in said.stderr) == (3, False)
    document: dict[str, Any] = json.loads(said.stdout)
    rows = {host["name"]: host for host in document["hosts"]}
    for node, (faults, (stage, cause, remedy)) in zip(nodes, EXPECTED.items(), strict=False):
        row = rows[node]
        assert row["status"] == ("unreachable" if stage == "auth" else "failed"), faults
        assert row["stage"] == stage, faults
        assert cause in row["cause"], faults
        assert remedy in row["remedy"], faults
        assert files_of(broken, node) == before[node], faults
    for node in nodes[len(EXPECTED) :]:
        assert rows[node]["status"] == "ok", rows[node]
    hosts = (operator.folder / "hostfiles" / broken.name / "openmpi").read_text().splitlines()
    assert len(hosts) == len(FINE)
    excluded = (operator.folder / "hostfiles" / broken.name / "excluded").read_text()
    assert all(node in excluded for node in nodes[: len(EXPECTED)])
    # The user's own link is followed, and still a link.
    linked = broken.home(nodes[len(EXPECTED)]) / ".ssh/authorized_keys"
    assert str(linked.readlink()) == "../dotfiles/authorized_keys"
    assert f"clusterboot:{broken.name}:" in (linked.parent / linked.readlink()).read_text()

    # A teardown among the same faults says what it could not do, and once they are mended all is as it was.
    torn = operator.document("teardown", *cluster, expect=3)
    # What a bootstrap began on a full disk goes: to remove needs no room.
    assert {row["name"]: row["status"] for row in torn["hosts"]}[nodes[0]] == "ok", torn["hosts"][0]
    for node in nodes:
        labs.mend(broken.name, node)
    pristine = {node: digests(broken.home(node)) for node in nodes}
    assert operator.document("bootstrap", *cluster)["exit_code"] == 0
    assert operator.document("teardown", *cluster)["still_to_do"] == []
    assert {node: digests(broken.home(node)) for node in nodes} == pristine


def digests(home: Path) -> dict[str, str]:
    files = [path for path in home.rglob("*") if path.is_file()]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
