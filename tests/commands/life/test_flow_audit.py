"""The record of real commands: every login is in it, no secret is, and without it nothing is done."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.lab.sshd import LOG
from operator_fixture import Operator

pytestmark = pytest.mark.lab

CANARY = "canary-5eC2e7"


@pytest.fixture(scope="module")
def lab(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=2)


def log_of(operator: Operator, lab: labs.Lab) -> Path:
    return operator.folder / f"state/clusterboot/{lab.name}/audit.jsonl"


def entries(operator: Operator, lab: labs.Lab) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_of(operator, lab).read_text().splitlines()]


def logins_seen(lab: labs.Lab) -> Counter[str]:
    """How often each machine let the operator in, by its own sshd's word; a node sees the head's address."""
    seen: Counter[str] = Counter()
    for machine in lab.machines:
        said = labs.node_exec(lab.name, machine.name, ["cat", LOG]).stdout
        source = str(lab.operator_address) if machine.name == "head" else lab.head.address
        seen[machine.name] = sum(
            "Accepted publickey" in line and f" from {source} " in line for line in said.splitlines()
        )
    return seen


def test_all_that_was_done_is_on_record_and_no_secret_is(lab: labs.Lab, operator: Operator) -> None:
    document = yaml.safe_load(lab.cluster_file.read_text())
    document["env"] = {"API_TOKEN": CANARY}
    path = operator.write("cluster.yaml", yaml.safe_dump(document))
    cluster = ("--cluster", str(path))
    before = logins_seen(lab)

    for command in (
        ("bootstrap", "--keys", "ca"),
        ("nccl-test", "-b", "8", "-e", "8", "-n", "1", "-w", "0"),
        ("run", f"true API_TOKEN={CANARY}"),
        ("teardown",),
    ):
        operator.document(command[0], *cluster, *command[1:])

    found = entries(operator, lab)
    names = {str(lab.head_address): "head"}
    told = Counter(
        names.get(entry["host"], entry["host"])
        for entry in found
        if entry["event"] == "connect" and entry["outcome"] == "ok"
    )
    assert told == logins_seen(lab) - before
    assert all(entry["key"].startswith("SHA256:") for entry in found if entry["event"] == "connect")
    ran = [entry["command"] for entry in found if entry["event"] == "command" and entry["name"] == "n1"]
    assert any(words.startswith("mpirun ") for words in ran)
    assert "run true API_TOKEN=[removed]" in ran
    for section in ("keys.install", "keys.verify"):
        assert any(section in words for words in ran), section
    text = log_of(operator, lab).read_text()
    assert CANARY not in text
    assert "PRIVATE" not in text
    private = list(log_of(operator, lab).parent.glob("*_key"))
    assert not [line for file in private for line in file.read_text().splitlines()[1:-1] if line in text]

    assert operator.document("audit", "--verify", *cluster)["entries"] == len(found)
    lines = text.splitlines(keepends=True)
    for tampered, line in (
        (lines[:3] + lines[4:], 4),
        ([*lines[:3], lines[3].replace("ubuntu", "nobody"), *lines[4:]], 5),
        ([*lines[:3], lines[4], lines[3], *lines[5:]], 4),
        (lines[:-1], len(lines)),
    ):
        log_of(operator, lab).write_text("".join(tampered))
        flaws = operator.document("audit", "--verify", *cluster, expect=6)["flaws"]
        assert flaws[0]["line"] == line
    shown = operator.run("audit", "--verify", *cluster)
    assert shown.returncode == 6
    assert f"line {len(lines)} should follow" in shown.stdout


def test_two_commands_at_once_keep_one_chain(lab: labs.Lab, operator: Operator) -> None:
    argv = [sys.executable, "-m", "clusterboot", "run", "--cluster", str(lab.cluster_file), "true"]
    started = [
        subprocess.Popen(
            argv,
            cwd=operator.folder,
            env=operator.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    for process in started:
        process.wait(HANGS_S)

    assert [process.returncode for process in started] == [0, 0, 0]
    found = entries(operator, lab)
    assert Counter(entry["event"] for entry in found) == {"connect": 9, "command": 6}
    assert operator.document("audit", "--verify", "--cluster", str(lab.cluster_file))["flaws"] == []


@pytest.mark.parametrize("place", ["a folder", "a full disk"])
@pytest.mark.parametrize("command", ["bootstrap", "teardown"])
def test_without_a_record_no_node_is_changed(
    lab: labs.Lab, operator: Operator, place: str, command: str
) -> None:
    path = log_of(operator, lab)
    path.parent.mkdir(parents=True)
    before, logins = contents(lab), logins_seen(lab)

    if place == "a folder":
        path.mkdir()
        done = operator.run(command, "--cluster", str(lab.cluster_file))
    else:
        done = run_with_a_full_disk_at(path.parent, operator, command, "--cluster", str(lab.cluster_file))

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert str(path.parent) in done.stderr
    assert contents(lab) == before
    assert (logins_seen(lab) - logins)["n1"] == 0


def run_with_a_full_disk_at(
    folder: Path, operator: Operator, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with a full file system at a folder, in a mount namespace that ends with it."""
    script = (
        'mount -t tmpfs -o size=8k none "$1" && cd "$2" && shift 2 &&'
        ' { cat /dev/zero >"$0/filler" 2>/dev/null; exec "$@"; }'
    )
    argv = [sys.executable, "-m", "clusterboot", *words]
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(folder), str(folder), str(operator.folder), *argv],
        env=operator.environment(),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )


def contents(lab: labs.Lab) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for node in lab.nodes
        for path in lab.home(node.name).rglob("*")
    }
