from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from clusterboot.mpi.launcher import Mpi, RunSpec
from clusterboot.mpi.launchers import command
from clusterboot.mpi.script_names import new_run_id, run_folder
from clusterboot.run.supervise import SupervisedStream, render_supervisor

# Each rank says who it is and whether its own command line or its launcher's has the secret.
RANK = """
printf '%s %s %s\\n' "$OMPI_COMM_WORLD_RANK" "$CLUSTERBOOT_RUN" "$TOKEN"
tr '\\0' ' ' </proc/$PPID/cmdline | grep -c 's3cre[t]' >&2
exit 0
"""


@pytest.mark.lab
def test_a_real_mpirun_runs_as_described(home: Path) -> None:
    launcher = shutil.which("mpirun")
    assert launcher
    run_id = new_run_id()
    spec = RunSpec(
        mpi=Mpi("openmpi", "4.1.4", launcher),
        run_id=run_id,
        hostfile=f"{run_folder('lab', run_id)}/hostfile",
        ranks=2,
        ranks_per_node=2,
        program=("/bin/sh", "-c", RANK),
        cluster="lab",
        env={"TOKEN": "s3cret 'x'"},
        tcp_only=True,
        oversubscribed=True,
        as_root=os.geteuid() == 0,
    )
    script = render_supervisor(
        command(spec),
        cluster="lab",
        run_id=run_id,
        nonce="5eed5eed",
        deadline_s=60,
        files={"hostfile": "localhost slots=1\n"},
    )
    with subprocess.Popen(
        ["/bin/sh", "-s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HOME": str(home)},
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(script.encode())
        process.stdin.flush()
        stream = SupervisedStream("5eed5eed")
        said, errors = stream.feed(process.stdout.read()), process.stderr.read()

    lines = [f"{rank} {run_id} s3cret 'x'" for rank in (0, 1)]
    assert sorted(said.decode().splitlines()) == sorted([f"# clusterboot run {run_id}"] * 2 + lines)
    assert errors == b"0\n0\n"
    assert stream.end
    assert (stream.end.how, stream.end.exit_code) == ("exited", 0)
