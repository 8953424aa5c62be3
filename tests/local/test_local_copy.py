"""A file onto nodes that are homes on this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster

from clusterboot import nodes
from clusterboot.commands.copy_file import FileCopy, LocalFile, copy_file
from clusterboot.errors import ExitCode

Copy = Callable[..., FileCopy]


@pytest.fixture
def copy(cluster: LocalCluster, tmp_path: Path) -> Iterator[Copy]:
    """A function that copies so many bytes to a place on the nodes."""
    with ExitStack() as opened:

        def send(content: bytes, to: str = "~", *, name: str = "file", **changed: Any) -> FileCopy:
            (tmp_path / "file").write_bytes(content)
            source = opened.enter_context((tmp_path / "file").open("rb"))
            known = {"size_bytes": len(content), "digest": hashlib.sha256(content).hexdigest(), **changed}
            file = LocalFile(source.fileno(), name, mode=0o750, **known)
            return copy_file(cluster.context(), file, to)

        yield send


def written(cluster: LocalCluster, before: dict[str, Any]) -> dict[str, Any]:
    return {path: what for path, what in cluster.contents().items() if before.get(path) != what}


@pytest.mark.parametrize(
    ("to", "name", "at"),
    [
        ("~", "file", "file"),
        ("there", "file", "there"),
        ("folder", "file", "folder/file"),
        ("folder/", "-x y'$(id)", "folder/-x y'$(id)"),
        ("~/folder/sub//new name", "file", "folder/sub/new name"),
        ("folder/../-v", "file", "-v"),
        ("*", "file", "*"),
    ],
)
def test_a_file_gets_where_it_was_sent_with_its_mode(
    cluster: LocalCluster, copy: Copy, to: str, name: str, at: str
) -> None:
    for node in cluster.homes:
        (cluster.home(node) / "folder/sub").mkdir(parents=True)
    before = cluster.contents()
    content = os.urandom(3_000_000)
    result = copy(content, to, name=name)

    assert result.exit_code == ExitCode.OK, result.hosts
    assert written(cluster, before) == {f"{node}/{at}": (0o100750, content) for node in cluster.homes}
    assert {name: each.path for name, each in result.received.items()} == {
        node: f"{cluster.home(node)}/{at}" for node in cluster.homes
    }
    assert all(host.changed for host in result.hosts)


def test_what_is_there_already_is_not_sent_again(cluster: LocalCluster, copy: Copy) -> None:
    copy(b"same\0bytes")
    (cluster.home("n2") / "file").chmod(0o600)
    before = {name: (cluster.home(name) / "file").stat().st_ino for name in cluster.homes}
    again = copy(b"same\0bytes")

    assert [host.changed for host in again.hosts] == [False, True, False]
    after = {name: (cluster.home(name) / "file").stat() for name in cluster.homes}
    assert {name for name in after if after[name].st_ino == before[name]} == {"n1", "n3"}
    assert {state.st_mode for state in after.values()} == {0o100750}


def test_an_empty_file_is_a_file(cluster: LocalCluster, copy: Copy) -> None:
    before = cluster.contents()
    assert copy(b"").exit_code == ExitCode.OK
    assert set(written(cluster, before).values()) == {(0o100750, b"")}


@pytest.mark.parametrize(
    ("to", "cause"),
    [
        ("link", "link is a symbolic link"),
        ("link/", "link/ is a symbolic link"),
        ("folderlink", "folderlink is a symbolic link"),
        ("folderlink/new", "leads through a symbolic link"),
        ("loose", "loose is a symbolic link"),
        ("folder/pipe", "pipe is no regular file there"),
        ("nowhere/new", "there is no folder ./nowhere"),
        ("nowhere/", "there is no folder nowhere/"),
        ("plain/new", "there is no folder ./plain"),
        ("linked", "file is a symbolic link there"),
    ],
)
def test_nothing_is_written_through_a_link_or_over_what_is_no_file(
    cluster: LocalCluster, copy: Copy, to: str, cause: str
) -> None:
    for node in cluster.homes:
        home = cluster.home(node)
        (home / "folder").mkdir()
        (home / "linked").mkdir()
        (home / "plain").write_text("old")
        os.mkfifo(home / "folder/pipe")
        for link, target in (
            ("link", "plain"),
            ("folderlink", "folder"),
            ("loose", "new"),
            ("linked/file", "../plain"),
        ):
            (home / link).symlink_to(target)
    before = cluster.contents()
    result = copy(b"new", to)

    assert result.exit_code == ExitCode.PARTIAL
    for host in result.hosts:
        assert (host.status, host.stage, host.changed) == ("failed", "run", False)
        assert cause in str(host.cause)
    assert cluster.contents() == before


@pytest.mark.parametrize("changed", [{"digest": "0" * 64}, {"size_bytes": 5}], ids=["other bytes", "cut off"])
def test_a_file_that_arrives_otherwise_replaces_nothing(
    cluster: LocalCluster, copy: Copy, changed: dict[str, Any]
) -> None:
    for node in cluster.homes:
        (cluster.home(node) / "file").write_text("old")
    before = cluster.contents()
    result = copy(b"new bytes", **changed)

    assert {host.cause for host in result.hosts} == {"not copied: what arrived is not what was sent"}
    assert cluster.contents() == before


def test_an_operator_who_is_gone_leaves_no_part(tmp_path: Path) -> None:
    text = resources.files(nodes).joinpath("receive.sh").read_text(encoding="utf-8")
    with subprocess.Popen(
        ["/bin/sh", "-c", f"{text}\ncb_receive MARK ~ file 0600 {'0' * 64}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdout.read(len("\nMARK wanted"))
        assert list(tmp_path.iterdir()) == [tmp_path / ".clusterboot-MARK"]
        shell.stdout.close()
        shell.stdin.write(b"half of it")
        shell.stdin.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(cluster: LocalCluster, copy: Copy) -> None:
    cluster.program("n2", "cat", "#!/bin/sh\nhead -c 10\necho 'No space left on device' >&2\nexit 1\n")
    before = cluster.contents()
    result = copy(b"x" * 1000)

    assert [host.status for host in result.hosts] == ["ok", "failed", "ok"]
    assert "No space left on device" in str(result.hosts[1].cause)
    assert {path.partition("/")[0] for path in written(cluster, before)} == {"n1", "n3"}
