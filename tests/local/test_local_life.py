"""A cluster's life in homes on this machine: what each command makes of them, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
from local_cluster import LocalCluster

from clusterboot.commands.bootstrap import bootstrap
from clusterboot.commands.facts import inventory
from clusterboot.commands.rotate_keys import rotate
from clusterboot.commands.run_command import run_job, shell_job
from clusterboot.commands.teardown import teardown
from clusterboot.errors import ClusterbootError, ExitCode
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.events import Silence
from clusterboot.session.local import locally

MODES: tuple[KeyMode, ...] = ("per-node", "ca", "shared")


def hostfiles(cluster: LocalCluster) -> dict[str, str]:
    return {path.name: path.read_text() for path in (cluster.folder / "first/hostfiles/local").iterdir()}


def test_a_second_bootstrap_changes_nothing(cluster: LocalCluster) -> None:
    first = bootstrap(cluster.context(), "full")
    homes, files = cluster.contents(), hostfiles(cluster)
    second = bootstrap(cluster.context(), "full")

    assert (first.exit_code, first.login_failures) == (ExitCode.OK, ())
    assert {host.changed for host in first.hosts} == {True}
    assert (second.exit_code, second.edits) == (ExitCode.OK, {})
    assert {host.changed for host in second.hosts} == {False}
    assert cluster.contents() == homes
    # The clocks' difference is a fact, too, and never quite the same.
    assert set(second.files) <= {"nodes.json"}
    assert {**hostfiles(cluster), "nodes.json": ""} == {**files, "nodes.json": ""}


def test_a_dry_run_shows_the_edits_and_makes_none(cluster: LocalCluster) -> None:
    before = cluster.contents()
    result = bootstrap(cluster.context(dry_run=True), "full")

    assert {name: len(edits) for name, edits in result.planned.items()} == {"n1": 4, "n2": 4, "n3": 4}
    assert cluster.contents() == before
    assert not (cluster.folder / "first/hostfiles").exists()


def test_hostfiles_are_written_in_each_dialect(make_cluster: Callable[..., LocalCluster]) -> None:
    cluster = make_cluster(options="  slots: 8\n")
    bootstrap(cluster.context(reach=locally(cluster.without("n2"))), "launch")
    files = hostfiles(cluster)

    assert files["openmpi"].endswith("10.77.0.1 slots=8\n10.77.0.3 slots=8\n")
    assert files["mpich"].endswith("10.77.0.1:8\n10.77.0.3:8\n")
    assert files["intelmpi"] == files["mpich"]
    assert "n2" in files["excluded"]
    assert "has no home on this machine" in files["excluded"]


@pytest.mark.parametrize("mode", MODES)
def test_a_rotation_replaces_every_key(cluster: LocalCluster, mode: KeyMode) -> None:
    bootstrap(cluster.context(), "none", mode)
    before = {name: cluster.own_lines(name) for name in cluster.homes}
    result = rotate(cluster.context())

    assert (result.exit_code, result.finished, result.mode) == (ExitCode.OK, True, mode)
    for name, lines in before.items():
        now = cluster.own_lines(name)
        assert len(now) == len(lines) == (3 if mode == "per-node" else 1)
        assert not {line.split()[-2] for line in lines} & {line.split()[-2] for line in now}
    assert bootstrap(cluster.context(), "full").login_failures == ()


@pytest.mark.parametrize(("old", "new"), [*permutations(MODES, 2)])
def test_each_change_of_mode_leaves_logins_and_no_old_line(
    cluster: LocalCluster, old: KeyMode, new: KeyMode
) -> None:
    tags = {"per-node": {"n1", "n2", "n3"}, "ca": {"@ca"}, "shared": {"@shared"}}
    before = cluster.contents()
    bootstrap(cluster.context(), "none", old)
    moved = bootstrap(cluster.context(), "full", new)

    assert (moved.exit_code, moved.mode, moved.stopped, moved.login_failures) == (ExitCode.OK, new, None, ())
    for name in cluster.homes:
        assert {line.rpartition(":")[2] for line in cluster.own_lines(name)} == tags[new]
    assert bootstrap(cluster.context(), "none").edits == {}
    assert teardown(cluster.context()).still_to_do == ()
    assert cluster.contents() == before


def test_a_node_that_is_away_keeps_its_key_and_catches_up(cluster: LocalCluster) -> None:
    bootstrap(cluster.context(), "none")
    (line,) = (line for line in cluster.own_lines("n1") if line.endswith(":n3"))
    away = locally(cluster.without("n3"))
    partly = bootstrap(cluster.context(reach=away), "full", "ca")

    assert [host.status for host in partly.hosts] == ["ok", "ok", "unreachable"]
    assert line in cluster.own_lines("n1")
    assert bootstrap(cluster.context(), "full", "ca").login_failures == ()
    assert len(cluster.own_lines("n1")) == 1


def test_a_teardown_without_a_node_is_finished_by_the_next(cluster: LocalCluster) -> None:
    before = cluster.contents()
    bootstrap(cluster.context(), "none")
    assert teardown(cluster.context(reach=locally(cluster.without("n2")))).still_to_do == ("n2",)
    assert {path for path in cluster.contents() if not path.startswith("n2/")} == {
        path for path in before if not path.startswith("n2/")
    }
    # Only the others are asked for: what is left is remembered all the same.
    assert teardown(cluster.context(exclude="n2")).still_to_do == ("n2",)
    assert teardown(cluster.context()).still_to_do == ()
    assert cluster.contents() == before
    assert not (cluster.folder / "first/state/members.json").exists()


@pytest.mark.parametrize("mode", MODES)
def test_nodes_with_one_home_share_one_key(make_cluster: Callable[..., LocalCluster], mode: KeyMode) -> None:
    cluster = make_cluster(shared_home=True)
    before = cluster.contents()
    result = bootstrap(cluster.context(), "full", mode)

    assert (result.exit_code, result.shared_homes) == (ExitCode.OK, (("n1", "n2", "n3"),))
    assert len(cluster.own_lines("n1")) == 1
    assert rotate(cluster.context()).finished
    teardown(cluster.context())
    assert cluster.contents() == before


def test_an_impostor_between_nodes_is_a_matter_of_trust(cluster: LocalCluster) -> None:
    bootstrap(cluster.context(), "none")
    key = cluster.folder / "addresses" / cluster.address("n2") / "host_key.pub"
    key.write_text((cluster.folder / "addresses" / cluster.address("n3") / "host_key.pub").read_text())
    result = bootstrap(cluster.context(), "full")

    assert result.exit_code == ExitCode.TRUST
    assert [host.status for host in result.hosts] == ["ok", "untrusted", "ok"]


class Emptied(Silence):
    """Empties a file as logins between nodes are about to be tried."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stage(self, title: str, count: int) -> None:
        if title.startswith("logins"):
            self._path.write_bytes(b"")


def test_a_lost_line_is_named_by_the_logins_and_put_back_by_the_next(cluster: LocalCluster) -> None:
    keys = cluster.home("n2") / ".ssh/authorized_keys"
    result = bootstrap(cluster.context(events=Emptied(keys)), "full")

    assert [host.status for host in result.hosts] == ["ok", "failed", "ok"]
    assert "it refuses the node's key" in str(result.hosts[1].cause)
    assert {(failed.source, failed.target) for failed in result.login_failures} >= {
        ("n1", "n2"),
        ("n3", "n2"),
    }
    again = bootstrap(cluster.context(), "full")
    assert (again.exit_code, again.login_failures) == (ExitCode.OK, ())
    assert len(cluster.own_lines("n2")) == 3


def test_facts_and_commands_come_from_each_home(cluster: LocalCluster) -> None:
    found = inventory(cluster.context())
    said = run_job(cluster.context(), shell_job('echo "$HOME"; echo no >&2; [ "$ADDRESS" != 10.77.0.2 ]'), 10)

    for name, facts in found.facts.items():
        assert facts.home is not None
        assert facts.home.path == str(cluster.home(name))
        assert [each.ip for each in facts.interfaces[1].addresses] == [cluster.address(name)]
        assert (said.answers[name].stdout, said.answers[name].stderr) == (
            f"{cluster.home(name)}\n".encode(),
            b"no\n",
        )
    assert [host.status for host in said.hosts] == ["ok", "failed", "ok"]
    assert said.exit_code == ExitCode.PARTIAL


def test_what_is_silent_costs_only_itself(cluster: LocalCluster) -> None:
    before = {*Path("/proc").glob("[0-9]*")}
    said = run_job(cluster.context(), shell_job('[ "$ADDRESS" != 10.77.0.2 ] || sleep 86399'), 5)
    hosts = {host.name: host for host in said.hosts}

    assert (hosts["n2"].status, hosts["n2"].cause) == ("unreachable", "no answer within 5 s")
    assert hosts["n1"].status == hosts["n3"].status == "ok"
    assert not [path for path in {*Path("/proc").glob("[0-9]*")} - before if _runs(path, "86399")]


def _runs(process: Path, word: str) -> bool:
    try:
        return word in (process / "cmdline").read_text().split("\0")
    except OSError:
        return False


def test_without_a_record_nothing_is_changed(cluster: LocalCluster) -> None:
    before = cluster.contents()
    (cluster.folder / "first/state/audit.jsonl").mkdir(parents=True)
    (cluster.folder / "first/state").chmod(0o700)
    with pytest.raises(ClusterbootError, match=r"audit log .* cannot be written"):
        bootstrap(cluster.context(), "none")
    assert cluster.contents() == before
