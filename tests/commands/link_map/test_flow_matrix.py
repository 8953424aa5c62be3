"""Bootstrap, teardown, bootstrap: in each mode, as root and as a user, with one home and with several."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

_FIRST = ("shared", "root", True)
CASES = [
    pytest.param(mode, user, shared, marks=() if (mode, user, shared) == _FIRST else pytest.mark.slow)
    for mode in ("per-node", "ca", "shared")
    for user in ("ubuntu", "root")
    for shared in (False, True)
]


def contents(lab: labs.Lab) -> dict[str, object]:
    folders = {lab.home(node.name) for node in lab.nodes}
    folders |= {lab.folder / node.name / "etc/ssh" for node in lab.nodes}
    return {
        str(path): (path.stat().st_mode, path.stat().st_uid, path.read_bytes() if path.is_file() else b"")
        for folder in folders
        for path in (folder, *folder.rglob("*"))
    }


def every_login_works(lab: labs.Lab) -> None:
    for source in lab.nodes:
        for target in lab.nodes:
            for name in (target.name, str(target.address)):
                argv = ["ssh", "-o", "BatchMode=yes", name, "hostname"]
                done = labs.node_exec(lab.name, source.name, argv, lab.user)
                assert done.stdout == f"{target.name}\n", done.stderr


@pytest.mark.parametrize(("mode", "user", "shared_home"), CASES)
def test_what_is_put_there_is_taken_back_and_can_be_put_there_again(
    make_lab: Callable[..., labs.Lab], operator: Operator, mode: str, user: str, shared_home: bool
) -> None:
    lab = make_lab(nodes=2, user=user, shared_home=shared_home)
    cluster = ("--cluster", str(lab.cluster_file))
    before = contents(lab)
    # Where nodes have one home, one key for all is chosen without being asked for.
    asked = () if mode == "shared" and shared_home else ("--keys", mode)
    for _ in range(2):
        said = operator.document("bootstrap", *asked, *cluster)
        assert said["keys"] == mode
        assert said["shared_homes"] == ([["n1", "n2"]] if shared_home else [])
        if not asked:
            assert said["keys_reason"] == "Keys: shared, since the nodes have one home"
        every_login_works(lab)
        again = operator.document("bootstrap", *cluster)
        assert (again["keys"], again["changed_files"]) == (mode, {})
        assert operator.document("teardown", *cluster)["still_to_do"] == []
        assert contents(lab) == before
