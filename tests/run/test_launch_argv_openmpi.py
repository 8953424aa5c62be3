"""How Open MPI is told what to run, and where."""

from __future__ import annotations

import ipaddress

import pytest
from launch_specs import FABRIC, FULL, SSH, shown, spec

from clusterboot.mpi.launchers import command


def test_openmpi_4_minimal() -> None:
    made = command(spec("openmpi", "4.1.4", "/usr/bin/mpirun"))

    assert " ".join(shown(made)) == (
        "/usr/bin/mpirun --hostfile runs/r1/hostfile -np 16 --map-by ppr:8:node --bind-to none"
        f" --mca clusterboot_run r1 --mca plm_rsh_agent {SSH}"
        " -x CLUSTERBOOT_RUN /opt/nt/all_reduce_perf -b 8"
    )
    assert made.env == {"CLUSTERBOOT_RUN": "r1"}


def test_openmpi_4_full() -> None:
    made = command(spec("openmpi", "4.1.4", "/opt/mpi/bin/mpirun", **FULL))

    assert shown(made) == (
        *("/opt/mpi/bin/mpirun", "--allow-run-as-root", "--prefix", "/opt/mpi"),
        *("--hostfile", "runs/r1/hostfile", "-np", "16", "--map-by", "ppr:8:node:oversubscribe"),
        *("--bind-to", "none", "--mca", "clusterboot_run", "r1"),
        *("--mca", "plm_rsh_agent", "/opt/bin/myssh -4", "--mca", "routed_radix", "2"),
        *("--mca", "oob_tcp_if_include", "10.1.0.0/16", "--mca", "pml", "ob1"),
        *("--mca", "btl", "self,vader,tcp", "--mca", "btl_tcp_links", "2"),
        *("--mca", "btl_tcp_if_include", "10.1.0.0/16"),
        *("--mca", "mpi_yield_when_idle", "1"),
        *("-x", "A", "-x", "CLUSTERBOOT_RUN", "-x", "NCCL_IB_HCA", "-x", "NCCL_SOCKET_IFNAME"),
        *("-x", "WANDB_KEY", "--extra", "one two", "/opt/nt/all_reduce_perf", "-b", "8"),
    )
    assert made.env == {
        "A": "1",
        "CLUSTERBOOT_RUN": "r1",
        "NCCL_IB_HCA": "mlx5_0,mlx5_1",
        "NCCL_SOCKET_IFNAME": "=eth0",
        "WANDB_KEY": "s3cret",
    }


def test_openmpi_5_minimal() -> None:
    made = command(spec("openmpi", "5.0.11", "/opt/ompi5/bin/mpirun"))

    assert " ".join(shown(made)) == (
        "/opt/ompi5/bin/mpirun --hostfile runs/r1/hostfile -np 16 --map-by ppr:8:node --bind-to none"
        f" --prtemca clusterboot_run r1 --prtemca plm_ssh_agent {SSH}"
        " -x CLUSTERBOOT_RUN /opt/nt/all_reduce_perf -b 8"
    )


def test_openmpi_5_full() -> None:
    made = command(spec("openmpi", "5.0.11", "/opt/mpi/bin/mpirun", **FULL))

    assert shown(made) == (
        *("/opt/mpi/bin/mpirun", "--allow-run-as-root", "--prefix", "/opt/mpi"),
        *("--hostfile", "runs/r1/hostfile", "-np", "16", "--map-by", "ppr:8:node:oversubscribe"),
        *("--bind-to", "none", "--prtemca", "clusterboot_run", "r1"),
        *("--prtemca", "plm_ssh_agent", "/opt/bin/myssh -4", "--prtemca", "rml_base_radix", "2"),
        *("--prtemca", "prte_if_include", "eth0", "--mca", "pml", "ob1"),
        *("--mca", "btl", "self,sm,tcp", "--mca", "btl_tcp_links", "2"),
        *("--mca", "btl_tcp_if_include", "10.1.0.0/16"),
        *("--mca", "mpi_yield_when_idle", "1"),
        *("-x", "A", "-x", "CLUSTERBOOT_RUN", "-x", "NCCL_IB_HCA", "-x", "NCCL_SOCKET_IFNAME"),
        *("-x", "WANDB_KEY", "--extra", "one two", "/opt/nt/all_reduce_perf", "-b", "8"),
    )


def test_openmpi_5_takes_the_subnet_where_interfaces_have_several_names() -> None:
    made = command(spec("openmpi", "5.0.11", "/m", network=FABRIC, interfaces=("eth0", "ens3")))

    assert "prte_if_include 10.1.0.0/16" in " ".join(shown(made))


@pytest.mark.parametrize("version", ["4.1.4", "5.0.11"])
def test_openmpi_takes_interfaces_where_the_subnet_is_of_ipv6(version: str) -> None:
    subnet = ipaddress.ip_network("fd00:1::/64")
    made = command(spec("openmpi", version, "/m", network=subnet, interfaces=("eth0", "ens3")))
    argv = list(shown(made))
    assert argv[argv.index("btl_tcp_if_include") + 1] == "eth0,ens3"
    assert ("oob_tcp_if_include" in argv) is version.startswith("4")
    assert str(subnet) not in argv or version.startswith("5")
