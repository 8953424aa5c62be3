"""A cluster as a Fabric group: what Fabric's documentation says of groups holds, over pinned connections.

Source: docs.fabfile.org, "Group", "Connection" and "Getting started"; the sentences are in the tests' names.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fabric
import pytest
from connect_helpers import KeyFile, Sshd, Way, host_at, write_key  # type: ignore[import-not-found]
from fabric.exceptions import GroupException
from invoke import Responder
from invoke.exceptions import UnexpectedExit

import clusterboot
from clusterboot.errors import ClusterbootError, TrustError, UnreachableError, UsageError
from clusterboot.inventory.cluster import Host
from clusterboot.ssh.audit import AuditLog
from clusterboot.ssh.group import PinnedGroup

pytestmark = pytest.mark.usefixtures("no_threads_left")
StartSshd = Callable[..., Sshd]
SFTP = "Subsystem sftp internal-sftp"


@pytest.fixture(autouse=True)
def empty_stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fabric sends what it reads from standard input to the nodes; a test runner's cannot be read."""
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


@pytest.fixture
def two(way: Way, sshd: StartSshd) -> Iterator[PinnedGroup]:
    """Two nodes behind one head, all real sshds."""
    head, *nodes = sshd(), sshd(SFTP), sshd(SFTP)
    hosts = [Host(name, node.login, (head.login,)) for name, node in zip(("n1", "n2"), nodes, strict=True)]
    fleet = way.fleet(known="".join(server.known() for server in (head, *nodes)))
    group = PinnedGroup(hosts, fleet, 8)
    assert group.connect() == {}
    yield group
    fleet.close()


def recorded(way: Way) -> list[tuple[str, str, int | None]]:
    lines = map(json.loads, way.audit_path.read_text().splitlines())
    return [
        (each["name"], each["command"], each["exit_code"]) for each in lines if each["event"] == "command"
    ]


def test_run_gives_a_map_of_connection_to_result(two: PinnedGroup, way: Way) -> None:
    results = two.run("echo $((6*7)); echo oops >&2", hide=True)

    assert isinstance(two, fabric.Group)
    assert all(isinstance(connection, fabric.Connection) for connection in two)
    assert list(results) == list(two)
    assert {connection.name: result.stdout for connection, result in results.items()} == {
        "n1": "42\n",
        "n2": "42\n",
    }
    assert {(result.stderr, result.ok, result.exited) for result in results.values()} == {("oops\n", True, 0)}
    assert not results.failed
    assert sorted(recorded(way)) == [("n1", "group: run", 0), ("n2", "group: run", 0)]


def test_a_command_that_fails_on_one_is_that_ones_result_in_the_group_exception(
    two: PinnedGroup, way: Way, tmp_path: Path
) -> None:
    (tmp_path / "once").write_text("")

    with pytest.raises(GroupException) as caught:
        two.run(f"rm {tmp_path / 'once'}", hide=True)
    (failed,) = caught.value.result.failed.values()
    assert isinstance(failed, UnexpectedExit)
    assert failed.result.exited == 1
    assert "No such file" in failed.result.stderr
    assert len(caught.value.result.succeeded) == 1
    assert sorted(code for _, _, code in recorded(way)) == [0, 1]


def test_with_warn_a_failed_command_is_a_result(two: PinnedGroup) -> None:
    assert {result.exited for result in two.run("exit 3", hide=True, warn=True).values()} == {3}


def test_members_are_connections_of_their_own(two: PinnedGroup) -> None:
    first = two[0]
    assert first.run("echo $GREETING", env={"GREETING": "hello"}, hide=True).stdout == "hello\n"
    with first.cd("/usr"), first.prefix("export WHERE=$(pwd)"):
        assert first.run("echo $WHERE", hide=True).stdout == "/usr\n"
    answer = Responder(pattern="name\\?", response="fabric\n")
    asked = first.run(
        "printf 'name?'; read -r x; echo \"hello $x\"", watchers=[answer], hide=True, in_stream=False
    )
    assert asked.stdout == "name?hello fabric\n"
    assert first.run("tty -s", pty=True, hide=True).ok


def test_sudo_answers_the_prompt_and_the_password_is_found_nowhere(
    way: Way, sshd: StartSshd, tmp_path: Path
) -> None:
    # What sudo -S does: it asks on standard error and reads a line.
    script = """#!/bin/sh
while :; do
    case $1 in -S|-H) shift;; -p) printf '%s' "$2" >&2; shift 2;; -u) as=$2; shift 2;; *) break;; esac
done
read -r word && [ "$word" = canary-7f3a ] || exit 1
echo "as ${as:-root}: $*"
"""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sudo").write_text(script)
    (tmp_path / "bin" / "sudo").chmod(0o755)
    node = sshd(f"SetEnv PATH={tmp_path / 'bin'}:{os.environ['PATH']} HOME={tmp_path}")
    group = PinnedGroup([node.host], way.fleet(known=node.known()), 1)

    said = group.sudo("whoami", user="hopper", password="canary-7f3a", hide=True, in_stream=False)  # noqa: S106
    assert [result.stdout for result in said.values()] == ["as hopper: whoami\n"]
    assert recorded(way) == [("node", "group: sudo", 0)]
    for file in (path for path in way.folder.rglob("*") if path.is_file() and path.name != "sudo"):
        assert b"canary-7f3a" not in file.read_bytes(), file


def test_put_sends_a_file_and_its_mode_and_get_fetches_one_of_each_host(
    two: PinnedGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tool").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "tool").chmod(0o750)
    (tmp_path / "there").mkdir()

    two[0].put(str(tmp_path / "tool"), str(tmp_path / "there"))
    assert (tmp_path / "there" / "tool").read_bytes() == (tmp_path / "tool").read_bytes()
    assert (tmp_path / "there" / "tool").stat().st_mode & 0o777 == 0o750
    two[0].put(io.BytesIO(b"text"), str(tmp_path / "there" / "from memory"))
    assert (tmp_path / "there" / "from memory").read_bytes() == b"text"

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    two.get(str(tmp_path / "tool"), local=str(tmp_path / "here" / "{host}-{port}") + "/")
    fetched = {path.parent.name: path.stat().st_size for path in (tmp_path / "here").rglob("tool")}
    assert fetched == {f"{each.host}-{each.port}": 256_000 for each in two}


def test_a_node_with_one_session_at_a_time_takes_files_and_commands_in_turn(
    way: Way, sshd: StartSshd, tmp_path: Path
) -> None:
    node = sshd(SFTP, "MaxSessions 1")
    group = PinnedGroup([node.host], way.fleet(known=node.known()), 1)
    group.put(io.BytesIO(b"1"), str(tmp_path / "one"))
    assert [each.stdout for each in group.run(f"cat {tmp_path / 'one'}", hide=True).values()] == ["1"]
    group.put(io.BytesIO(b"2"), str(tmp_path / "one"))
    assert [each.stdout for each in group.run(f"cat {tmp_path / 'one'}", hide=True).values()] == ["2"]


def test_a_node_that_is_down_or_not_the_pinned_one_has_the_error_and_nothing_is_done_on_it(
    way: Way, sshd: StartSshd, key: KeyFile, tmp_path: Path
) -> None:
    good, other, down = sshd(), sshd(), sshd("MaxAuthTries 1")
    stranger = write_key(tmp_path / "stranger")
    known = good.known() + down.known() + f"[127.0.0.1]:{other.port} {stranger.public}\n"
    hosts = [Host("good", good.login), Host("changed", other.login), Host("down", host_at(1, key).login)]
    group = PinnedGroup(hosts, way.fleet(known=known), 8)

    told = group.connect()
    assert {name: type(error) for name, error in told.items()} == {
        "changed": TrustError,
        "down": UnreachableError,
    }
    with pytest.raises(GroupException) as caught:
        group.run(f"touch {tmp_path / 'done'}-$SSH_CONNECTION_ID-$PPID", hide=True)
    result = caught.value.result
    assert {each.name: error.stage for each, error in result.failed.items()} == {
        "changed": "hostkey",
        "down": "connect",
    }
    assert [each.name for each in result.succeeded] == ["good"]
    assert len(list(tmp_path.glob("done-*"))) == 1
    assert "Accepted" not in other.said


def test_no_more_nodes_are_at_work_at_once_than_were_asked_for(way: Way, sshd: StartSshd) -> None:
    node = sshd()
    hosts = [Host(f"n{number}", node.login) for number in range(6)]
    group = PinnedGroup(hosts, way.fleet(known=node.known()), 2)
    group.connect()
    running, most, lock = 0, 0, threading.Lock()
    all_seen = threading.Barrier(2)

    def work(self: Any) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        # Two are at work at any time: each waits for the other.
        all_seen.wait(60)
        with lock:
            running -= 1
        all_seen.wait(60)

    for member in group:
        member.__dict__["work"] = lambda member=member: work(member)
    group._do("work")
    assert most == 2


def test_at_the_deadline_what_runs_is_ended_and_says_so(
    way: Way, sshd: StartSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = sshd()
    fleet = way.fleet(known=node.known(), deadline_s=3600)
    group = PinnedGroup([node.host], fleet, 1)
    group.connect()
    # Logged in is what it is by now, however long that took: the rest of the hour passes at once.
    monkeypatch.setattr(fleet.watchdog, "_end_s", time.monotonic() + 1)
    with pytest.raises(GroupException) as caught:
        group.run("exec sleep 7400", hide=True)
    (error,) = caught.value.result.failed.values()
    assert (error.host, error.stage, error.cause) == (
        "node",
        "run",
        "no answer before the command's deadline",
    )


def test_a_connection_that_is_lost_is_said_so_and_made_anew_by_the_next_call(two: PinnedGroup) -> None:
    with pytest.raises(GroupException) as caught:
        # The parent of the shell is the sshd that carries it.
        two.run("kill -9 $PPID; exec sleep 60", hide=True)
    assert {error.cause for error in caught.value.result.failed.values()} == {"the connection was lost"}
    assert {result.stdout for result in two.run("echo back", hide=True).values()} == {"back\n"}


def test_nothing_runs_that_could_not_be_written_down(
    two: PinnedGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: AuditLog) -> None:
        raise ClusterbootError("the audit log cannot be written: no space left")

    monkeypatch.setattr(AuditLog, "ready", full)
    with pytest.raises(GroupException) as caught:
        two.run(f"touch {tmp_path / 'done'}", hide=True)
    assert {error.cause for error in caught.value.result.failed.values()} == {
        "the audit log cannot be written: no space left"
    }
    assert not (tmp_path / "done").exists()


def test_connect_reads_the_cluster_file_and_gives_its_nodes(
    sshd: StartSshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    nodes = [sshd(), sshd()]
    hosts = "".join(
        f"    - hostname: 127.0.0.1\n      name: n{number}\n      port: {node.port}\n"
        f"      identity_file: {node.login_key.path}\n"
        for number, node in enumerate(nodes)
    )
    pins = "".join(f'      "[127.0.0.1]:{node.port}": {node.host_key.public}\n' for node in nodes)
    file = tmp_path / "work" / "cluster.yaml"
    file.write_text(
        f"type: fleet\nname: mine\nssh_config:\n  user: root\n  hosts:\n{hosts}"
        f"clusterboot:\n  trust:\n    pins:\n{pins}"
    )

    with clusterboot.connect(file) as group:
        assert [member.name for member in group] == ["n0", "n1"]
        assert {each.stdout for each in group.run("echo hello", hide=True).values()} == {"hello\n"}
    assert not any(member.is_connected for member in group)
    with clusterboot.connect("cluster.yaml", hosts="n[0-1]", exclude="n0", fanout=1, deadline_s=60) as group:
        assert [member.name for member in group] == ["n1"]
    with pytest.raises(UsageError, match="not in the cluster"), clusterboot.connect(file, hosts="n7"):
        pass
    assert (tmp_path / "state" / "clusterboot" / "mine" / "audit.jsonl").exists()
