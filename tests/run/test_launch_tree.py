from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.mpi.launcher import TreeLogin
from clusterboot.mpi.launchers import LAUNCHERS, launch_logins


def tree(logins: tuple[TreeLogin, ...]) -> dict[str, str]:
    made: dict[str, list[str]] = {}
    for login in logins:
        made.setdefault(login.source, []).append(login.target)
    return {source: " ".join(targets) for source, targets in made.items()}


def names(count: int, letter: str = "n") -> list[str]:
    return [f"{letter}{number}" for number in range(1, count + 1)]


def test_openmpi_logs_in_flat_up_to_64_nodes() -> None:
    logins = launch_logins("openmpi", "n1", names(65))

    assert logins == tuple(TreeLogin("n1", name) for name in names(65)[1:])


def test_openmpi_lets_children_launch_above_64() -> None:
    logins = launch_logins("openmpi", "n1", names(72))

    assert logins[:64] == tuple(TreeLogin("n1", name) for name in names(65)[1:])
    assert logins[64:] == tuple(TreeLogin(f"n{n}", f"n{n + 64}") for n in range(2, 9))


def test_openmpi_from_a_head_that_runs_no_ranks() -> None:
    logins = launch_logins("openmpi", "head", names(72))

    assert tree(logins)["head"] == " ".join(names(64))
    assert logins[64:] == tuple(TreeLogin(f"n{n}", f"n{n + 64}") for n in range(1, 9))


def test_openmpi_radix_2_as_version_4_1_4_and_5_0_11_launch() -> None:
    assert tree(launch_logins("openmpi", "vm", names(7, "a"), radix=2)) == {
        "vm": "a1 a2",
        "a1": "a3 a5",
        "a2": "a4 a6",
        "a3": "a7",
    }


def test_openmpi_numbers_its_daemons_without_the_launching_host() -> None:
    hosts = ["a1", "a2", "vm", "a3", "a4", "a5", "a6", "a7"]

    assert launch_logins("openmpi", "vm", hosts, radix=2) == launch_logins(
        "openmpi", "vm", names(7, "a"), radix=2
    )


def test_hydra_is_flat_at_any_size() -> None:
    assert tree(launch_logins("mpich", "n1", names(200))) == {"n1": " ".join(names(200)[1:])}


def test_intelmpi_with_72_nodes_as_2021_18_launches() -> None:
    made = tree(launch_logins("intelmpi", "vm", names(72, "b")))

    assert made.pop("vm") == "b1 b6 b11 b16 b21 b26 b31 b36 b41 b45 b49 b53 b57 b61 b65 b69"
    assert made["b1"] == "b2 b3 b4 b5"
    assert made["b36"] == "b37 b38 b39 b40"
    assert made["b41"] == "b42 b43 b44"
    assert len(made) == 16


def test_intelmpi_splits_again_below_the_first_level() -> None:
    made = tree(launch_logins("intelmpi", "vm", names(11, "b"), radix=2))

    assert (made["vm"], made["b1"], made["b7"]) == ("b1 b7", "b2 b5", "b8 b10")


def test_intelmpi_counts_the_launching_host_as_a_node() -> None:
    made = tree(launch_logins("intelmpi", "vm", ["vm", *names(7, "b")], radix=2))

    assert made == {"vm": "b4 b1 b3", "b1": "b2", "b4": "b5 b7", "b5": "b6"}


@given(
    kind=st.sampled_from(sorted(LAUNCHERS)),
    count=st.integers(0, 150),
    radix=st.none() | st.integers(2, 70),
    from_head=st.booleans(),
)
def test_every_node_is_reached_once_by_one_that_runs_already(
    kind: str, count: int, radix: int | None, from_head: bool
) -> None:
    hosts = names(count)
    start = "head" if from_head or not hosts else hosts[0]

    logins = launch_logins(kind, start, hosts, radix)

    assert sorted(login.target for login in logins) == sorted(set(hosts) - {start})
    running = {start}
    waiting = list(logins)
    while waiting:
        ready = [login for login in waiting if login.source in running]
        assert ready
        running |= {login.target for login in ready}
        waiting = [login for login in waiting if login not in ready]


def test_a_radix_below_two_is_no_tree() -> None:
    with pytest.raises(ValueError, match="radix 1"):
        launch_logins("openmpi", "n1", names(3), radix=1)
