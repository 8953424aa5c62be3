"""Faults of logging in leave nothing behind once they are mended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusterboot import lab as labs
from clusterboot.lab.faults.login_faults import LOGIN_FAULTS

pytestmark = pytest.mark.lab

# Everything that such a fault touches: settings, host keys, users, the home, mounts, and what runs.
_LOOK = """\
for file in /etc/ssh/* /etc/passwd /etc/nologin /home/ubuntu/.bashrc /home/ubuntu/.ssh/*; do
    [ ! -f "$file" ] || { stat -c '%n %a %u %g' "$file"; cksum < "$file"; }
done
grep ' /home' /proc/self/mounts
ip -4 -oneline address show dev eth0
"""


@pytest.fixture(scope="module")
def pair(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=2)


def look(lab: labs.Lab, node: str) -> str:
    return labs.node_exec(lab.name, node, ["sh", "-c", _LOOK]).stdout


def test_each_login_fault_shows_on_the_machine_and_is_mended(pair: labs.Lab) -> None:
    before = look(pair, "n1")

    for fault in LOGIN_FAULTS:
        labs.break_node(pair.name, "n1", fault)
        assert look(pair, "n1") != before, fault
        labs.mend(pair.name, "n1")
        assert look(pair, "n1") == before, fault


def test_they_pile_up_and_go_together(pair: labs.Lab) -> None:
    before = look(pair, "n1")
    # Two that spoil the same file, or the same shell, are one after the other as they were made.
    for fault in LOGIN_FAULTS:
        labs.break_node(pair.name, "n1", fault)

    assert len(labs.mend(pair.name, "n1")) == len(LOGIN_FAULTS)
    assert look(pair, "n1") == before


def test_swapped_nodes_have_each_others_address_until_they_are_mended(pair: labs.Lab) -> None:
    before = look(pair, "n1"), look(pair, "n2")

    labs.break_node(pair.name, "n1", "swapped:n2")
    one, two = pair.nodes
    assert one.address in look(pair, "n2")
    assert two.address in look(pair, "n1")
    labs.mend(pair.name, "n2")

    assert (look(pair, "n1"), look(pair, "n2")) == before
