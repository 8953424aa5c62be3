from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]


@contextmanager
def logins_without_end(lab: labs.Lab, source: str, target: str) -> Iterator[list[str]]:
    """Log in from one node to another again and again; gives what failed."""
    failed: list[str] = []
    over = threading.Event()

    def try_on() -> None:
        while not over.wait(0.5):
            argv = ["su", "ubuntu", "-c", f"ssh -o BatchMode=yes {target} true"]
            done = labs.node_exec(lab.name, source, argv)
            if done.returncode:
                failed.append(done.stderr)

    thread = threading.Thread(target=try_on)
    thread.start()
    try:
        yield failed
    finally:
        over.set()
        thread.join()


def own_lines(lab: labs.Lab, node: str) -> list[str]:
    text = (lab.home(node) / ".ssh/authorized_keys").read_text()
    return [line for line in text.splitlines() if f"clusterboot:{lab.name}:" in line]


def key_files(lab: labs.Lab, node: str) -> set[str]:
    return {path.name for path in (lab.home(node) / f".ssh/clusterboot/{lab.name}").glob("id_*")}


def all_reach_all(lab: labs.Lab, operator: Operator) -> None:
    names = " ".join(f"{node.name} {node.address}" for node in lab.nodes)
    expected = "".join(f"{node.name}\n" * 2 for node in lab.nodes)
    for source in lab.nodes:
        said = operator.ssh(lab.name, source.name, f"for other in {names}; do ssh $other hostname; done")
        assert (said.stdout, said.stderr) == (expected, "")


@pytest.mark.parametrize(
    "moves",
    [
        pytest.param((), id="each mode once"),
        pytest.param(("shared", "ca", "per-node"), id="and back", marks=pytest.mark.slow),
    ],
)
def test_modes_and_rotations_follow_each_other_without_a_failing_login(
    make_lab: Callable[..., labs.Lab], operator: Operator, moves: tuple[str, ...]
) -> None:
    lab = make_lab(nodes=2)
    cluster = ("--cluster", str(lab.cluster_file))
    before = {node.name: (lab.home(node.name) / ".ssh/authorized_keys").read_bytes() for node in lab.nodes}
    state = operator.folder / "state/clusterboot" / lab.name
    operator.document("bootstrap", *cluster)
    with logins_without_end(lab, "n1", "n2") as failed, logins_without_end(lab, "n2", "n1") as failed_back:
        was = own_lines(lab, "n2")
        assert operator.document("rotate-keys", *cluster)["finished"]
        assert not set(was) & set(own_lines(lab, "n2"))
        assert key_files(lab, "n1") == {"id_ed25519-2", "id_ed25519-2.pub"}

        assert operator.document("bootstrap", "--keys", "ca", *cluster)["keys"] == "ca"
        (line,) = own_lines(lab, "n2")
        assert line.startswith(f'restrict,cert-authority,principals="clusterboot-{lab.name}" ssh-ed25519 ')
        assert key_files(lab, "n1") == {"id_ed25519-3", "id_ed25519-3.pub", "id_ed25519-3-cert.pub"}
        assert (state / "ca_key").stat().st_mode & 0o777 == 0o600
        # Nobody asked for another mode, and so it stays.
        again = operator.document("bootstrap", *cluster)
        assert (again["keys"], again["changed_files"]) == ("ca", {})
        authority = (state / "ca_key").read_bytes()
        assert operator.document("rotate-keys", *cluster)["keys"] == "ca"
        assert (state / "ca_key").read_bytes() != authority
        assert own_lines(lab, "n2") != [line]

        operator.document("bootstrap", "--keys", "shared", *cluster)
        (line,) = own_lines(lab, "n2")
        assert line.endswith(f"clusterboot:{lab.name}:@shared")
        if moves:
            assert operator.document("bootstrap", "--keys", "shared", *cluster)["changed_files"] == {}
            operator.document("rotate-keys", *cluster)
            assert own_lines(lab, "n2") != [line]

        for mode in ("per-node", *moves):
            moved = operator.document("bootstrap", "--keys", mode, *cluster)
            assert moved["keys_reason"].endswith(f" to {mode}, as --keys says")
        assert len(own_lines(lab, "n2")) == 2
        assert not any("shared" in name or "cert" in name for name in key_files(lab, "n1"))
        all_reach_all(lab, operator)
    assert failed == failed_back == []
    operator.document("teardown", *cluster)
    after = {node.name: (lab.home(node.name) / ".ssh/authorized_keys").read_bytes() for node in lab.nodes}
    assert after == before
    assert not list(state.glob("*_key*"))


@pytest.mark.parametrize("mode", ["ca", "shared"])
@pytest.mark.slow
def test_nodes_with_one_home_go_through_each_mode_and_back(
    make_lab: Callable[..., labs.Lab], operator: Operator, mode: str
) -> None:
    lab = make_lab(nodes=2, shared_home=True)
    cluster = ("--cluster", str(lab.cluster_file))
    home = lab.home("n1")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    for _ in range(2):
        assert operator.document("bootstrap", "--keys", mode, *cluster)["keys"] == mode
        assert len(own_lines(lab, "n1")) == 1
        all_reach_all(lab, operator)
        operator.document("teardown", *cluster)
        assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
