"""Why a login between nodes fails is said of each pair, and once where many fail for one reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot import lab as labs
from clusterboot.commands.bootstrap import Bootstrapped, bootstrap
from clusterboot.inventory.cluster import KeyMode
from clusterboot.inventory.loader import load
from clusterboot.session.context import Context
from clusterboot.session.events import Silence
from clusterboot.trust import authority
from operator_fixture import Operator

pytestmark = pytest.mark.lab

# What happens to a node after its keys were installed and before its logins are tried.
TROUBLES = {
    "n3": ("port-closed", "refused", "start sshd there"),
    "n4": ("dead-pair", "filtered", "firewall between the two"),
    "n5": ("changed-host-key", "pin", "who answers at its address"),
    "n6": ("keys-open", "auth", "permissions"),
}
# Its own configuration sends it to names that nobody knows: not others but this one is to blame.
LOST = "n7"


class Saboteur(Silence):
    """Does something just before the logins begin."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def stage(self, title: str, hosts: int) -> None:
        if title.startswith("logins "):
            self._act()


def lead_astray(lab: labs.Lab, node: str) -> None:
    path = lab.home(node) / f".ssh/clusterboot/{lab.name}/config"
    path.write_text("Host *\n  HostName no-such-name.invalid\n" + path.read_text())


def sabotage(lab: labs.Lab) -> None:
    for node, (fault, _, _) in TROUBLES.items():
        if fault == "dead-pair":
            for other in lab.nodes:
                if other.name != node:
                    labs.break_node(lab.name, node, f"{fault}:{other.name}")
        else:
            labs.break_node(lab.name, node, fault)
    lead_astray(lab, LOST)


def try_all(
    lab: labs.Lab, folder: Path, act: Callable[[], None], mode: KeyMode | None = None
) -> Bootstrapped:
    context = Context(load(lab.cluster_file), folder / "state", folder, events=Saboteur(act))
    return bootstrap(context, "full", mode)


def test_a_failing_pair_has_its_cause_and_many_with_one_cause_are_one_finding(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=7)

    said = try_all(lab, operator.folder, lambda: sabotage(lab) if not lab_is_broken(lab) else None)

    good = ("n1", "n2")
    assert {host.name for host in said.hosts if host.status == "ok"} == set(good)
    for host in said.hosts[len(good) :]:
        # A host key that is not the pinned one is a matter of trust, wherever it is met.
        assert host.status == ("untrusted" if host.name == "n5" else "failed"), host
        assert host.stage == "verify"
    found = {(finding.kind, finding.host): finding for finding in said.findings}
    for node, (_, cause, remedy) in TROUBLES.items():
        finding = found["target", node]
        assert finding.cause == cause, finding
        assert finding.text.startswith(f"{node} cannot be reached by anyone: ")
        assert remedy in finding.remedy
        assert len(finding.logins) >= 4
        assert {target for _, target in finding.logins} == {node}
    lost = found["source", LOST]
    assert (lost.cause, lost.text.split(":")[0]) == ("name", f"{LOST} reaches nobody")
    assert "internal_ip" in lost.remedy
    pairs = {(failure.source, failure.target): failure for failure in said.login_failures}
    assert pairs["n1", "n3"].cause == "refused"
    assert "Connection refused" in pairs["n1", "n3"].text
    assert pairs["n2", "n5"].reason.startswith(
        "no login from n2: the host key seen there is not the pinned one"
    )
    assert ("n1", "n2") not in pairs
    assert ("n2", "n1") not in pairs


def make_it_later(lab: labs.Lab, folder: Path) -> None:
    """Give n1 a certificate of tomorrow's: as if the clock of whoever signed it were a day ahead."""
    held = authority.load(folder / "state/ca_key")
    assert held is not None
    tomorrow_s = time.time() + 24 * 3600
    user = next((lab.home("n1") / f".ssh/clusterboot/{lab.name}").glob("*-cert.pub"))
    was = authority.read_certificate(user.read_text())
    assert was is not None
    sources = was.source_addresses.split(",")
    user.write_text(
        authority.user_certificate(held, lab.name, "n1", was.public_key, sources, now_s=tomorrow_s)
    )


def test_a_certificate_that_is_not_valid_yet_is_a_clocks_fault(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)

    said = try_all(lab, operator.folder, lambda: make_it_later(lab, operator.folder), "ca")

    pairs = {(failure.source, failure.target): failure for failure in said.login_failures}
    assert {pair: failure.cause for pair, failure in pairs.items()} == {
        ("n1", "n2"): "clock",
        ("n1", "n3"): "clock",
    }
    assert "certificate not valid before 2" in pairs["n1", "n3"].text
    assert "chrony" in pairs["n1", "n3"].remedy
    # Nobody lies about who they are: that is no matter of trust.
    assert "untrusted" not in {host.status for host in said.hosts}


def lab_is_broken(lab: labs.Lab) -> bool:
    (state,) = labs.status(lab.name)
    return any(machine.faults for machine in state.machines)
