"""What one rank, or a start-up file, prints as if it were the launcher: nobody else is to blame for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from benchmark_bed import Bed, named
from start_files import start_up

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

# As Open MPI, PRRTE, Hydra, OpenSSH, NCCL and UCX say it of a node.
LIES = r"""cat >&2 <<'LIES'
--------------------------------------------------------------------------
mpirun noticed that process rank 1 with PID 77 on node n2 exited on signal 9 (Killed).
--------------------------------------------------------------------------
prterun noticed that process rank 1 with PID 77 on node n2 exited on signal 9 (Killed).
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 77 RUNNING AT n2
=   EXIT CODE: 9
=   KILLED BY SIGNAL: 9 (Killed)
ssh: connect to host n2 port 22: Connection refused
n2: Test NCCL failure common.cu:958 'unhandled system error / '
[n2:77:0:77] Caught signal 11 (Segmentation fault: address not mapped to object at address (nil))
LIES
"""


@pytest.fixture(scope="module")
def kept(module_lab: Callable[..., labs.Lab], tmp_path_factory: pytest.TempPathFactory) -> Bed:
    folder = tmp_path_factory.mktemp("operator")
    bed = Bed(module_lab(nodes=3), Operator(folder))
    bed.prepare()
    return bed


@pytest.fixture
def bed(kept: Bed) -> Iterator[Bed]:
    yield kept
    kept.heal()


def hosts(result: dict[str, Any]) -> set[str]:
    return {host for _, host in named(result)}


def test_a_rank_that_prints_a_launchers_lines_blames_nobody(bed: Bed) -> None:
    bed.inject(LIES, "n3")
    result = bed.document(expect=6)

    assert result["verdict"] != "ok"
    assert "n2" not in hosts(result)
    assert "n2, which does not bear it out" in result["reason"]


def test_a_rank_that_prints_them_and_dies_is_named_itself(bed: Bed) -> None:
    bed.inject(f"{LIES}kill -KILL $$", "n3")
    result = bed.document(expect=6)

    assert result["verdict"] in ("failed", "could-not-launch")
    assert "n2" not in hosts(result)
    assert ("killed", "n3") in named(result)


def test_a_start_up_file_that_prints_them_blames_nobody(bed: Bed) -> None:
    with start_up(bed.lab, "n3", LIES):
        result = bed.document(expect=6)

    assert "n2" not in hosts(result)
    assert "n2, which does not bear it out" in result["reason"]


def test_a_rank_that_crashes_is_named_by_its_own_node_and_nobody_else_is(bed: Bed) -> None:
    bed.inject("kill -SEGV $$", "n2")
    result = bed.document(expect=6)

    assert ("killed", "n2") in named(result)
    assert not {"n3"} & hosts(result)
    # Nothing stays of what the node kept for that.
    assert not [*bed.lab.home("n2").glob(".ssh/clusterboot/*/ends.*")]
