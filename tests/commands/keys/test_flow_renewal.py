from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot import lab as labs
from clusterboot.commands.bootstrap import bootstrap
from clusterboot.inventory.loader import load
from clusterboot.session.context import Context
from clusterboot.trust import authority
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

HOUR = 3600.0


def state_dir(lab: labs.Lab, operator: Operator) -> Path:
    return operator.folder / "state/clusterboot" / lab.name


def certificate(lab: labs.Lab, node: str) -> Path:
    return next((lab.home(node) / f".ssh/clusterboot/{lab.name}").glob("id_*-cert.pub"))


def read(path: Path) -> authority.CertificateState:
    state = authority.read_certificate(path.read_text())
    assert state is not None
    return state


def others(lab: labs.Lab) -> dict[str, tuple[int, int]]:
    """All that is no certificate, by inode and time."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for node in lab.nodes
        for path in (lab.home(node.name) / ".ssh").rglob("*")
        if path.is_file() and "-cert.pub" not in path.name
    }


# A node's date(1), and so all that is told of its clock, an hour slow; sshd has the kernel's time.
_SLOW_DATE = """\
cp /usr/bin/date /run/date
printf '#!/bin/sh\\nexec /run/date -d "-1 hour" "$@"\\n' >/run/slow-date
chmod 755 /run/date /run/slow-date
mount --bind /run/slow-date /usr/bin/date
"""


def test_what_is_half_through_its_life_is_renewed_and_what_is_out_of_its_time_is_named(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)
    cluster = ("--cluster", str(lab.cluster_file))
    # As if it had been 13 hours ago, but for one node of which it was an hour ago.
    for hours, hosts in ((13, "n[1-2]"), (1, "n3")):
        context = Context(
            load(lab.cluster_file, hosts=hosts),
            state_dir(lab, operator),
            operator.folder,
            started_s=time.time() - hours * HOUR,
        )
        assert {host.status for host in bootstrap(context, "none", "ca").hosts} == {"ok"}
    operator.document("bootstrap", *cluster)
    young = certificate(lab, "n3").read_text()
    for node in ("n1", "n2"):
        assert read(certificate(lab, node)).valid_before_s > time.time() + 23 * HOUR
    before = others(lab)
    assert operator.document("bootstrap", *cluster)["changed_files"] == {}
    assert certificate(lab, "n3").read_text() == young

    # All of them expired: nothing is launched, and each host is told of with why and what to do.
    held = authority.load(state_dir(lab, operator) / "ca_key")
    assert held is not None
    for node in ("n1", "n2", "n3"):
        path = certificate(lab, node)
        state = read(path)
        path.write_text(
            authority.user_certificate(
                held,
                lab.name,
                node,
                state.public_key,
                state.source_addresses.split(","),
                now_s=time.time() - 30 * HOUR,
            )
        )
    said = operator.document("nccl-test", "-b", "8", "-e", "8", *cluster, expect=6)
    for host in said["hosts"]:
        assert (host["status"], host["stage"]) == ("failed", "keys")
        assert host["cause"].startswith("its certificate expired at 2")
        assert host["remedy"] == "run bootstrap, which renews it"
    renewed = operator.document("bootstrap", *cluster)
    assert all(host["changed"] for host in renewed["hosts"])
    assert {path for paths in renewed["changed_files"].values() for path in paths} == {
        f"~/.ssh/clusterboot/{lab.name}/id_ed25519-cert.pub"
    }
    assert others(lab) == before

    labs.node_exec(lab.name, "n2", ["sh", "-c", _SLOW_DATE]).check_returncode()
    for code, command in ((6, ("nccl-test", "-b", "8", "-e", "8")), (3, ("bootstrap",))):
        told = {host["name"]: host for host in operator.document(*command, *cluster, expect=code)["hosts"]}
        assert told["n2"]["cause"].startswith("its clock is 3,600 s behind most nodes'")
        assert "chrony" in told["n2"]["remedy"]
        assert (told["n1"]["status"], told["n3"]["status"]) == ("ok", "ok")
