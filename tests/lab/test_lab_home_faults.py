"""Faults of the home leave nothing behind once they are mended, and nothing when the lab goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusterboot import lab as labs
from clusterboot.lab.faults.homes import HOME_FAULTS

pytestmark = pytest.mark.lab

# What the faults touch: every file of the home with its kind, mode and owner, and the mounts.
_LOOK = """\
find /home /etc/ssh -printf '%y %m %U %G %l %p\\n' | sort
[ ! -f /home/ubuntu/.ssh/authorized_keys ] || cksum </home/ubuntu/.ssh/authorized_keys
lsattr -d /home/ubuntu/.ssh/* 2>/dev/null
grep ' /home' /proc/self/mounts
"""


@pytest.fixture(scope="module")
def lone(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=1)


def look(lab: labs.Lab) -> str:
    return labs.node_exec(lab.name, "n1", ["sh", "-c", _LOOK]).stdout


def test_each_home_fault_shows_on_the_machine_and_is_mended(lone: labs.Lab) -> None:
    before = look(lone)

    for fault in HOME_FAULTS:
        labs.break_node(lone.name, "n1", fault)
        assert look(lone) != before, fault
        labs.mend(lone.name, "n1")
        assert look(lone) == before, fault


def test_a_lab_with_an_immutable_file_in_it_goes_down_whole(make_lab: Callable[..., labs.Lab]) -> None:
    lab = make_lab(nodes=1)
    labs.break_node(lab.name, "n1", "keys-immutable")

    labs.down(lab.name)

    assert not lab.folder.exists()
