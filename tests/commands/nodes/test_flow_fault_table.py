"""All faults of the network, of login and of shells at once: each its own node's, and the others are done."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from patience import HANGS_S
from told_faults import BETWEEN, FAILED, HARMLESS, HEAD, TABLE, UNREACHABLE, Told

from clusterboot import lab as labs
from clusterboot.ssh.refusals import refusal_of
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

# It lets the operator in, and no other node.
IGNORED = "keys-ignored"


@dataclass(frozen=True)
class Scene:
    """A lab in which each node has a fault, or none, and what bootstrap said of it all."""

    lab: labs.Lab
    operator: Operator
    where: dict[str, str]
    said: dict[str, Any]

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        return {host["name"]: host for host in self.said["hosts"]}

    @property
    def sound(self) -> list[str]:
        """The nodes without a fault, and those whose fault does no harm."""
        bad = {self.where[told.fault] for told in TABLE} | {self.where[IGNORED]}
        return [node.name for node in self.lab.nodes if node.name not in bad]


@pytest.fixture(scope="module")
def scene(module_lab: Callable[..., labs.Lab], tmp_path_factory: pytest.TempPathFactory) -> Scene:
    faults = [*(told.fault for told in TABLE), *HARMLESS, *BETWEEN, IGNORED]
    where = {fault: f"n{number}" for number, fault in enumerate(faults, 3)}
    lab = module_lab(nodes=2 + len(faults))
    for fault in (*(told.fault for told in TABLE), *HARMLESS):
        labs.break_node(lab.name, where[fault], fault)
    labs.break_node(lab.name, "n1", f"one-way:{where['one-way']}")
    labs.break_node(lab.name, where["dead-pair"], "dead-pair:n1")
    ignore_own_keys(lab, where[IGNORED])
    operator = Operator(tmp_path_factory.mktemp("operator"))
    return Scene(lab, operator, where, operator.document("bootstrap", *cluster(lab), expect=5))


def cluster(lab: labs.Lab) -> tuple[str, str]:
    return "--cluster", str(lab.cluster_file)


def ignore_own_keys(lab: labs.Lab, node: str) -> None:
    """Have a node's sshd look for keys where the administrator put the operator's, and nowhere else."""
    elsewhere = lab.folder / node / "etc/ssh/authorized_keys.d"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    shutil.copy(lab.home(node) / ".ssh/authorized_keys", elsewhere / "ubuntu")
    (elsewhere / "ubuntu").chmod(0o644)
    os.chown(elsewhere / "ubuntu", 0, 0)
    labs.break_node(lab.name, node, "keys-elsewhere")


@pytest.mark.parametrize("told", TABLE, ids=[told.fault for told in TABLE])
def test_a_fault_is_told_of_its_own_node(scene: Scene, told: Told) -> None:
    host = scene.hosts[scene.where[told.fault]]

    assert (host["status"], host["stage"]) == (told.status, told.stage), host["cause"]
    assert re.search(told.cause, host["cause"]), host["cause"]
    assert told.remedy in host["remedy"]


@pytest.mark.parametrize("fault", BETWEEN)
def test_a_fault_between_two_nodes_is_told_of_the_pair_and_costs_neither(scene: Scene, fault: str) -> None:
    node = scene.where[fault]

    assert (scene.hosts["n1"]["status"], scene.hosts[node]["status"]) == ("ok", "ok")
    (login,) = [login for login in scene.said["failed_logins"] if login["to"] == node]
    assert (login["from"], login["cause"]) == ("n1", BETWEEN[fault])
    (finding,) = [finding for finding in scene.said["findings"] if finding["host"] == node]
    assert finding["kind"] == "pair"
    assert finding["text"].startswith(f"n1 does not reach {node}: its SSH port does not answer")


def test_whom_two_nodes_do_not_reach_is_out(scene: Scene) -> None:
    host = scene.hosts[scene.where[IGNORED]]

    assert (host["status"], host["stage"]) == (FAILED, "verify")
    assert re.search("cannot be reached by anyone: it refuses the node's key", host["cause"]), host["cause"]
    assert host["remedy"]


def test_all_other_nodes_are_done(scene: Scene) -> None:
    assert len(scene.sound) == 2 + len(HARMLESS) + len(BETWEEN)
    assert [scene.hosts[name]["status"] for name in scene.sound] == ["ok"] * len(scene.sound)
    # From where all of them can be reached.
    assert scene.said["launch_host"] == "n2"
    folder = scene.operator.folder / "hostfiles" / scene.lab.name
    assert len((folder / "openmpi").read_text().splitlines()) == len(scene.sound)
    excluded = {line.partition(":")[0] for line in (folder / "excluded").read_text().splitlines()}
    assert excluded == set(scene.hosts) - set(scene.sound)


def test_turned_away_is_tried_again_and_refused_is_not(scene: Scene) -> None:
    log = scene.operator.folder / f"state/clusterboot/{scene.lab.name}/audit.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    logins = [entry["host"] for entry in entries if entry["event"] == "connect"]

    crowded = scene.where["crowded"]
    refusal = refusal_of(scene.hosts[crowded]["cause"].rpartition(": ")[2].strip("'"))
    assert refusal
    assert logins.count(crowded) == 1 + len(refusal.pauses_s)
    for fault in (
        "key-refused",
        "keys-elsewhere",
        "changed-host-key",
        "port-closed",
        "frozen",
        "half-banner",
    ):
        assert logins.count(scene.where[fault]) == 1, fault
    assert logins.count(str(scene.lab.head_address)) == 1


def test_what_hangs_once_logged_in_costs_itself_alone(scene: Scene) -> None:
    lab, (freezing, hanging) = scene.lab, (scene.where["csh"], scene.where["noisy-shell"])
    for node, fault in ((freezing, "freezing-shell"), (hanging, "hanging-shell")):
        labs.mend(lab.name, node)
        labs.break_node(lab.name, node, fault)
    wanted = f"n1,n2,{freezing},{hanging},{scene.where['frozen']}"

    said = scene.operator.document(
        "run", *cluster(lab), "--hosts", wanted, "--deadline", "16", "hostname", expect=3
    )

    hosts = {host["name"]: host for host in said["hosts"]}
    for node in (freezing, hanging):
        assert (hosts[node]["status"], hosts[node]["stage"]) == (UNREACHABLE, "channel")
        assert hosts[node]["cause"] == "the login shell began nothing before the command's deadline"
        assert "start-up file" in hosts[node]["remedy"]
    assert hosts[scene.where["frozen"]]["stage"] == "banner"
    assert "in half of the command's deadline" in hosts[scene.where["frozen"]]["cause"]
    assert {name: said["answers"][name]["stdout"] for name in said["answers"]} == {"n1": "n1\n", "n2": "n2\n"}


@pytest.mark.parametrize("told", HEAD, ids=[told.fault for told in HEAD])
def test_a_fault_of_the_head_is_one_line_for_all_behind_it(scene: Scene, told: Told) -> None:
    # Only what never answers is to run into the deadline.
    deadline_s = 8 if "deadline" in told.cause else HANGS_S
    labs.break_node(scene.lab.name, "head", told.fault)
    try:
        done = scene.operator.run(
            *("run", *cluster(scene.lab), "--hosts", "n1,n2", "--deadline", str(deadline_s), "true"),
            COLUMNS="80",
        )
    finally:
        labs.mend(scene.lab.name, "head")

    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    (line,) = (line for line in done.stdout.splitlines() if str(scene.lab.head_address) in line)
    assert line.startswith(f"n[1-2] {told.status} {told.stage}: {scene.lab.head_address}")
    assert re.search(told.cause, line), line
    assert told.remedy in line


@pytest.mark.parametrize(("fault", "deadline_s"), [("sshd-stopped", HANGS_S), ("powered-off", 20)])
def test_the_head_dying_in_mid_run_is_one_line_for_all_behind_it(
    scene: Scene, fault: str, deadline_s: int
) -> None:
    lab, limit = scene.lab, ("--hosts", "n1,n2", "--deadline", str(deadline_s))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(scene.operator.run, "run", *cluster(lab), *limit, "sleep 7100")
        for node in ("n1", "n2"):
            script = "until pgrep -f -x 'sleep 7100' >/dev/null; do sleep 0.02; done"
            labs.node_exec(lab.name, node, ["sh", "-c", script], timeout_s=HANGS_S)
        labs.break_node(lab.name, "head", fault)
        try:
            done = running.result()
        finally:
            labs.mend(lab.name, "head")

    words = {"sshd-stopped": "the connection to the gateway was lost", "powered-off": "the gateway does not"}
    (line,) = (line for line in done.stdout.splitlines() if str(lab.head_address) in line)
    assert line.startswith(f"n[1-2] {UNREACHABLE} gateway: {lab.head_address}: {words[fault]}"), line
    assert "check that the gateway is up" in line
    assert done.returncode == 4
    for node in ("n1", "n2"):
        script = "while pgrep -f -x 'sleep 7100' >/dev/null; do sleep 0.02; done"
        labs.node_exec(lab.name, node, ["sh", "-c", script], timeout_s=HANGS_S)


# Cuts the line at the moment at which a file of keys is put in place: before that, or after it.
CUT_AT_MV = """#!/bin/sh
case "$*" in *authorized_keys*)
    [ {before} = yes ] || /bin/mv "$@"
    kill -KILL "$SESSION"
    exec sleep 7101
esac
exec /bin/mv "$@"
"""


@pytest.mark.parametrize("before", ["yes", "no"])
def test_a_line_that_drops_in_mid_write_leaves_the_old_file_or_the_new(scene: Scene, before: str) -> None:
    lab, node = scene.lab, "n2"
    teardown = ("teardown", *cluster(lab), "--hosts", "n1,n2")
    scene.operator.document(*teardown)
    home = lab.home(node)
    keys, old = home / ".ssh/authorized_keys", (home / ".ssh/authorized_keys").read_bytes()
    (home / "cut").mkdir()
    (home / "cut/mv").write_text(CUT_AT_MV.format(before=before))
    (home / "cut/mv").chmod(0o755)
    (home / ".bashrc").write_text("SESSION=$PPID PATH=$HOME/cut:$PATH; export SESSION PATH\n")

    said = scene.operator.document("bootstrap", *cluster(lab), "--hosts", "n1,n2", expect=3)

    hosts = {host["name"]: host for host in said["hosts"]}
    assert (hosts[node]["status"], hosts[node]["stage"]) == (UNREACHABLE, "keys")
    assert hosts[node]["cause"] == "the connection was lost"
    assert hosts["n1"]["status"] == "ok"
    assert keys.read_bytes().endswith(old)
    assert (keys.read_bytes() == old) is (before == "yes")
    # What waited there for ever went with the line, and the next bootstrap has the home in order.
    script = "while pgrep -f -x 'sleep 7101' >/dev/null; do sleep 0.02; done"
    labs.node_exec(lab.name, node, ["sh", "-c", script], timeout_s=HANGS_S)
    shutil.rmtree(home / "cut")
    (home / ".bashrc").unlink()
    scene.operator.document("bootstrap", *cluster(lab), "--hosts", "n1,n2")
    scene.operator.document(*teardown)
    assert keys.read_bytes() == old
