"""A run to launch, as small as it can be and with everything."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from clusterboot.mpi.launcher import Command, Mpi, RunSpec

FABRIC = ipaddress.ip_network("10.1.0.0/16")


SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10"


def spec(kind: str, version: str, launcher: str, **changes: object) -> RunSpec:
    minimal = RunSpec(
        mpi=Mpi(kind, version, launcher),
        run_id="r1",
        hostfile="runs/r1/hostfile",
        ranks=16,
        ranks_per_node=8,
        program=("/opt/nt/all_reduce_perf", "-b", "8"),
        cluster="lab",
    )
    return replace(minimal, **changes)  # type: ignore[arg-type]


def shown(made: Command) -> tuple[str, ...]:
    """Give a command line without the shell that waits for each rank's program."""
    at = made.argv.index("/bin/sh")
    assert made.argv[at + 1] == "-c"
    return (*made.argv[:at], *made.argv[at + 3 :])


FULL: dict[str, object] = {
    "env": {"WANDB_KEY": "s3cret", "A": "1"},
    "network": FABRIC,
    "interfaces": ("eth0",),
    "launch_address": "10.1.0.4",
    "gpu": True,
    "ib_hca": "mlx5_0,mlx5_1",
    "tcp_only": True,
    "oversubscribed": True,
    "as_root": True,
    "radix": 2,
    "agent": ("/opt/bin/myssh", "-4"),
    "prefix": "/opt/mpi",
    "extra_args": ("--extra", "one two"),
}


DIFFER: dict[str, object] = {
    "interfaces": ("eth0", "ens3"),
    "interface_of": {"gpu001": "eth0", "gpu002": "ens3", "gpu003": "eth0"},
}
