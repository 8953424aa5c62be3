"""Homes as users leave them: what is theirs stays byte for byte, and what cannot be changed is named."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_cluster import LocalCluster

from clusterboot.commands.bootstrap import bootstrap
from clusterboot.commands.rotate_keys import rotate
from clusterboot.commands.teardown import teardown
from clusterboot.errors import ExitCode, UnreachableError
from clusterboot.inventory.cluster import Host
from clusterboot.inventory.nodesource import ListedHosts
from clusterboot.nodes.sessions import Nodes
from clusterboot.nodes.watchdog import Watchdog
from clusterboot.session.context import Context
from clusterboot.session.local import LocalNodes, LocalSession
from clusterboot.ssh.audit import AuditLog
from odd_files import AUTHORIZED, CONFIG, KNOWN_HOSTS, odd, seeded


def equip(cluster: LocalCluster, rng: random.Random) -> None:
    for name in cluster.homes:
        for file, words in (
            ("authorized_keys", AUTHORIZED),
            ("config", CONFIG),
            ("known_hosts", KNOWN_HOSTS),
        ):
            path = cluster.put(name, file, odd(rng, words))
            path.chmod(rng.choice((0o600, 0o644, 0o400, 0o640)))


@pytest.mark.parametrize("seed", range(3))
def test_odd_files_go_through_a_clusters_whole_life(cluster: LocalCluster, seed: int) -> None:
    equip(cluster, seeded(100 + seed))
    before = cluster.contents()
    for step in ("per-node", "ca", "shared"):
        result = bootstrap(cluster.context(), "none", step)  # type: ignore[arg-type]
        assert {host.status for host in result.hosts} == {"ok"}, result.hosts
        now = cluster.contents()
        for path, (mode, content) in before.items():
            if isinstance(content, bytes):
                assert now[path][0] == mode
                assert bytes(now[path][1]).endswith(content)  # type: ignore[arg-type]
    assert rotate(cluster.context()).finished
    teardown(cluster.context())
    assert cluster.contents() == before


def test_a_home_without_any_ssh_folder_gets_one_and_loses_it_again(cluster: LocalCluster) -> None:
    folder = cluster.home("n2") / ".ssh"
    (folder / "authorized_keys").unlink()
    folder.rmdir()
    before = cluster.contents()
    assert bootstrap(cluster.context(), "full").exit_code == ExitCode.OK
    assert folder.stat().st_mode & 0o777 == 0o700
    teardown(cluster.context())
    assert cluster.contents() == before


def test_a_link_inside_the_home_is_followed_and_stays_one(cluster: LocalCluster) -> None:
    real = cluster.home("n2") / "keys"
    link = cluster.home("n2") / ".ssh/authorized_keys"
    real.write_bytes(link.read_bytes())
    real.chmod(0o600)
    link.unlink()
    link.symlink_to("../keys")
    before = cluster.contents()
    assert bootstrap(cluster.context(), "full").exit_code == ExitCode.OK
    assert link.is_symlink()
    assert b"clusterboot:local" in real.read_bytes()
    teardown(cluster.context())
    assert cluster.contents() == before


@pytest.mark.parametrize(
    "what", ["a directory", "a FIFO", "a link that leaves the home", "a link to nothing"]
)
def test_what_stands_in_a_files_place_is_named_and_the_others_are_done(
    cluster: LocalCluster, what: str
) -> None:
    path = cluster.home("n2") / ".ssh/authorized_keys"
    path.unlink()
    if what == "a directory":
        path.mkdir()
    elif what == "a FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/etc/hostname" if what == "a link that leaves the home" else "nothing")
    result = bootstrap(cluster.context(), "full")
    hosts = {host.name: host for host in result.hosts}

    assert [host.status for host in result.hosts] == ["ok", "failed", "ok"]
    assert what in str(hosts["n2"].cause)
    assert result.exit_code == ExitCode.PARTIAL


OWN = ".ssh/clusterboot/local"
ENDLESS = [
    (".ssh/config", "fifo"),
    (".ssh/config", "huge"),
    (f"{OWN}/config", "fifo"),
    (f"{OWN}/config", "huge"),
    (f"{OWN}/created", "fifo"),
    (f"{OWN}/id_ed25519", "fifo"),
]


def make_endless(path: Path, kind: str) -> None:
    """Put something that reading has no end of in a file's place."""
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, 1 << 40)


@pytest.mark.parametrize(("place", "kind"), ENDLESS)
def test_what_has_no_end_is_named_and_the_others_are_done(
    cluster: LocalCluster, place: str, kind: str
) -> None:
    bootstrap(cluster.context(), "none")
    make_endless(cluster.home("n2") / place, kind)
    for hosts in (bootstrap(cluster.context(), "none").hosts, rotate(cluster.context()).hosts):
        assert (hosts[1].status, hosts[1].stage) == ("failed", "keys")
        assert str(hosts[1].cause).startswith(f"~/{place} "), hosts[1].cause
        assert re.search("FIFO|no regular file|larger than 3 MiB", str(hosts[1].cause))


@pytest.mark.parametrize("kind", ["fifo", "huge"])
def test_a_teardown_takes_nothing_where_it_cannot_read(cluster: LocalCluster, kind: str) -> None:
    bootstrap(cluster.context(), "none")
    make_endless(cluster.home("n2") / ".ssh/config", kind)
    done = teardown(cluster.context())

    assert "~/.ssh/config is not touched" in str(done.hosts[1].cause)
    assert (cluster.home("n2") / OWN).is_dir()


@pytest.mark.parametrize("name", ["created", "config", "id_ed25519", "changing"])
def test_a_teardown_takes_its_own_folder_with_whatever_is_in_it(cluster: LocalCluster, name: str) -> None:
    bootstrap(cluster.context(), "none")
    make_endless(cluster.home("n2") / OWN / name, "fifo")

    assert teardown(cluster.context()).hosts[1].changed
    assert not (cluster.home("n2") / OWN).exists()


def test_a_read_only_home_is_named_in_its_own_words(cluster: LocalCluster) -> None:
    before = cluster.contents()
    said = "mkdir: cannot create directory '.ssh/clusterboot': Read-only file system"
    cluster.program("n2", "mkdir", f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    result = bootstrap(cluster.context(), "full")
    hosts = {host.name: host for host in result.hosts}

    assert [host.status for host in result.hosts] == ["ok", "failed", "ok"]
    assert "Read-only file system" in str(hosts["n2"].cause)
    assert hosts["n2"].remedy == "mount the home there writable"
    assert {path: what for path, what in cluster.contents().items() if path.startswith("n2/")} == {
        path: what for path, what in before.items() if path.startswith("n2/")
    }


def test_a_configuration_that_ssh_refuses_is_named_and_left(cluster: LocalCluster) -> None:
    path = cluster.put("n1", "config", b"Host x\n  NoSuchOption yes\n")
    cluster.program("n1", "ssh", '#!/bin/sh\nexec "$REAL_SSH" -F "$HOME/.ssh/config" "$@"\n')
    result = bootstrap(cluster.context(), "none")

    assert [host.status for host in result.hosts] == ["failed", "ok", "ok"]
    assert "line 2" in str(result.hosts[0].cause)
    assert path.read_bytes() == b"Host x\n  NoSuchOption yes\n"


def test_a_key_that_the_user_has_too_is_noted_and_stays(cluster: LocalCluster) -> None:
    bootstrap(cluster.context(), "none")
    key = (cluster.home("n3") / ".ssh/clusterboot/local/id_ed25519.pub").read_text().split()[1]
    keys = cluster.home("n2") / ".ssh/authorized_keys"
    line = f"no-pty ssh-ed25519 {key} mine\n".encode()
    keys.write_bytes(keys.read_bytes() + line)
    result = bootstrap(cluster.context(), "none")

    assert "has the key of n3" in result.notes["n2"][0]
    assert keys.read_bytes().endswith(line)


class _LockedOut(LocalSession):
    def log_in_afresh(self) -> None:
        raise UnreachableError("key refused for operator", stage="auth", remedy="look there")


class _OneLockedOut(LocalNodes):
    """Nodes of which one lets its operator in once, and not again."""

    def session(self, host: Host) -> LocalSession:
        return self._open(host, _LockedOut if host.name == "n2" else LocalSession)


def test_a_change_after_which_nobody_could_log_in_is_rolled_back(cluster: LocalCluster) -> None:
    before = {name: (cluster.home(name) / ".ssh/authorized_keys").read_bytes() for name in cluster.homes}

    @contextmanager
    def reach(context: Context) -> Iterator[Nodes]:
        with AuditLog(context.state_dir / "audit.jsonl") as audit:
            yield _OneLockedOut(cluster.homes, Watchdog(), audit, 3, ListedHosts(context.cluster.hosts))

    one, two, _ = bootstrap(cluster.context(reach=reach), "none").hosts
    assert (one.status, one.changed) == ("ok", True)
    assert (two.status, two.stage) == ("failed", "keys")
    assert "rolled back" in str(two.cause)
    assert "key refused for operator" in str(two.cause)
    assert (cluster.home("n2") / ".ssh/authorized_keys").read_bytes() == before["n2"]
    assert (cluster.home("n1") / ".ssh/authorized_keys").read_bytes() != before["n1"]
