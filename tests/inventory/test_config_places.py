"""Which cluster file a command means, and where its state is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clusterboot.errors import UsageError
from clusterboot.inventory.locations import Operator, find, results_root, state_dir

LAB = Path("/run/lab/cluster.yaml")


def test_what_is_given_comes_first(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").touch()
    environ = {"CLUSTERBOOT_CLUSTER": "/from/env.yaml", "HOME": "/home/ann"}
    given = {"cwd": tmp_path, "running_lab": LAB}
    assert find("other.yaml", environ=environ, **given) == tmp_path / "other.yaml"
    assert find("/abs.yaml", environ=environ, **given) == Path("/abs.yaml")
    assert find("~/c.yaml", environ=environ, **given) == Path("/home/ann/c.yaml")
    assert find(None, environ=environ, **given) == Path("/from/env.yaml")


def test_then_the_folder_s_own_file_then_the_lab(tmp_path: Path) -> None:
    assert find(None, cwd=tmp_path, environ={}, running_lab=LAB) == LAB
    (tmp_path / "gpu.dstack.yml").touch()
    assert find(None, cwd=tmp_path, environ={}, running_lab=LAB) == tmp_path / "gpu.dstack.yml"
    (tmp_path / "two.dstack.yml").touch()
    assert find(None, cwd=tmp_path, environ={}, running_lab=LAB) == LAB
    (tmp_path / "cluster.yaml").touch()
    assert find(None, cwd=tmp_path, environ={}, running_lab=LAB) == tmp_path / "cluster.yaml"


def test_the_word_lab_is_the_running_lab(tmp_path: Path) -> None:
    (tmp_path / "lab").touch()
    assert find("lab", cwd=tmp_path, environ={}, running_lab=LAB) == LAB
    assert find(None, cwd=tmp_path, environ={"CLUSTERBOOT_CLUSTER": "lab"}, running_lab=LAB) == LAB
    with pytest.raises(UsageError, match=r"no lab is running; start one with 'invoke lab\.up'"):
        find("lab", cwd=tmp_path, environ={}, running_lab=None)


def test_without_any_of_them_the_error_says_all_four(tmp_path: Path) -> None:
    for name in ("a.dstack.yml", "b.dstack.yml"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError) as caught:
        find(None, cwd=tmp_path, environ={}, running_lab=None)
    assert str(caught.value) == (
        "no cluster file; 2 files here end in .dstack.yml; give --cluster PATH, set CLUSTERBOOT_CLUSTER, "
        "have cluster.yaml or one *.dstack.yml in this folder, or start a lab with 'invoke lab.up'"
    )


def test_state_is_where_xdg_says() -> None:
    home = {"HOME": "/home/ann"}
    assert state_dir("pod", home) == Path("/home/ann/.local/state/clusterboot/pod")
    assert state_dir("pod", {**home, "XDG_STATE_HOME": "/var/s"}) == Path("/var/s/clusterboot/pod")
    assert state_dir("pod", {**home, "XDG_STATE_HOME": "rel"}) == Path(
        "/home/ann/.local/state/clusterboot/pod"
    )


@pytest.mark.parametrize("name", ["..", "a/b", "", "-x", "A"])
def test_state_never_leads_elsewhere(name: str) -> None:
    with pytest.raises(ValueError, match="is not a fleet name"):
        state_dir(name, {})


def test_the_operator_s_home_may_be_absent() -> None:
    assert Operator.here({}).home.is_absolute()
    assert Operator.here({"HOME": "relative"}).home.is_absolute()


def test_a_file_of_its_own_that_leads_nowhere_is_meant_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").symlink_to("moved-away.yaml")
    lab = tmp_path / "lab.yaml"
    assert find(None, cwd=tmp_path, environ={}, running_lab=lab) == tmp_path / "cluster.yaml"


@pytest.mark.parametrize("name", ["cluster.yaml", "gpu.dstack.yml"])
def test_a_file_that_others_can_write_is_not_taken_because_it_lies_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    path.chmod(0o666)
    with pytest.raises(UsageError, match="others can write it; name it with --cluster"):
        find(None, cwd=tmp_path, environ={}, running_lab=LAB)
    assert find(name, cwd=tmp_path, environ={}, running_lab=LAB) == path


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("linked", [False, True])
def test_another_users_file_is_not_taken_because_it_lies_there(tmp_path: Path, linked: bool) -> None:
    path = tmp_path / "cluster.yaml"
    if linked:
        (tmp_path / "mine").touch()
        path.symlink_to("mine")
    else:
        path.touch()
    os.chown(path, 65534, 65534, follow_symlinks=False)
    with pytest.raises(UsageError, match="is another user's"):
        find(None, cwd=tmp_path, environ={}, running_lab=LAB)
    assert find(None, cwd=tmp_path, environ={"SUDO_UID": "65534"}, running_lab=LAB) == path


@pytest.mark.parametrize(
    ("explicit", "variable", "file", "cwd", "root"),
    [
        ("out", "/var/env", "/site/cluster.yaml", "/", "/out"),
        ("~/out", "", "/site/cluster.yaml", "/tmp", "/home/ann/out"),
        (None, "/var/env", "/site/cluster.yaml", "/", "/var/env"),
        (None, "", "/site/cluster.yaml", "/", "/site"),
        (None, "", "site/cluster.yaml", "/home", "/home/site"),
        (None, "", "/run/lab/cluster.yaml", "/home", "/home"),
        (None, "", None, "/home", "/home"),
    ],
)
def test_results_go_where_it_is_said_or_beside_the_cluster_file(
    explicit: str | None, variable: str, file: str | None, cwd: str, root: str
) -> None:
    environ = {"HOME": "/home/ann", "CLUSTERBOOT_RESULTS": variable}
    path = Path(file) if file else None
    found = results_root(explicit, cwd=Path(cwd), environ=environ, cluster_file=path, labs=Path("/run/lab"))
    assert found == Path(root)


def test_a_labs_results_never_go_into_the_root() -> None:
    with pytest.raises(UsageError, match=r"would go into /; give --results-dir"):
        results_root(None, cwd=Path("/"), environ={}, cluster_file=LAB, labs=LAB.parent)
