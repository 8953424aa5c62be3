"""How Hydra is told what to run, and where: MPICH and Intel MPI."""

from __future__ import annotations

from launch_specs import FULL, shown, spec

from clusterboot.mpi.launchers import command


def test_mpich_minimal() -> None:
    made = command(spec("mpich", "4.0.2", "/usr/bin/mpiexec.hydra"))

    assert " ".join(shown(made)) == (
        "/usr/bin/mpiexec.hydra -f runs/r1/hostfile -n 16 -ppn 8 -launcher ssh -bind-to none"
        " -genvlist CLUSTERBOOT_RUN /opt/nt/all_reduce_perf -b 8"
    )
    assert made.env == {
        "CLUSTERBOOT_RUN": "r1",
        "HYDRA_LAUNCHER_EXTRA_ARGS": "-o BatchMode=yes -o ConnectTimeout=10",
    }


def test_mpich_full() -> None:
    made = command(spec("mpich", "4.0.2", "/usr/bin/mpiexec.hydra", **FULL))

    assert shown(made) == (
        *("/usr/bin/mpiexec.hydra", "-f", "runs/r1/hostfile", "-n", "16", "-ppn", "8"),
        *("-launcher", "ssh", "-launcher-exec", "/opt/bin/myssh", "-localhost", "10.1.0.4"),
        *("-bind-to", "none", "-genvlist"),
        "A,CLUSTERBOOT_RUN,FI_PROVIDER,FI_TCP_IFACE,MPIR_CVAR_ENABLE_HEAVY_YIELD,NCCL_IB_HCA,"
        "NCCL_SOCKET_IFNAME,UCX_NET_DEVICES,UCX_TLS,WANDB_KEY",
        *("--extra", "one two", "/opt/nt/all_reduce_perf", "-b", "8"),
    )
    assert made.env == {
        "A": "1",
        "CLUSTERBOOT_RUN": "r1",
        "FI_PROVIDER": "tcp",
        "FI_TCP_IFACE": "eth0",
        "HYDRA_LAUNCHER_EXTRA_ARGS": "-4",
        "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1",
        "NCCL_IB_HCA": "mlx5_0,mlx5_1",
        "NCCL_SOCKET_IFNAME": "=eth0",
        "UCX_NET_DEVICES": "eth0",
        "UCX_TLS": "self,sm,tcp",
        "WANDB_KEY": "s3cret",
    }


def test_mpich_names_the_interface_where_the_launching_address_is_unknown() -> None:
    argv = shown(command(spec("mpich", "5.0.2", "/m", interfaces=("ib0",))))

    assert " ".join(argv).startswith("/m -f runs/r1/hostfile -n 16 -ppn 8 -launcher ssh -iface ib0 ")


def test_intelmpi_minimal() -> None:
    made = command(spec("intelmpi", "2021.18", "/opt/intel/mpi/bin/mpirun"))

    assert " ".join(shown(made)) == (
        "/opt/intel/mpi/bin/mpirun -machinefile runs/r1/hostfile -n 16 -ppn 8 -bootstrap ssh"
        " -genvlist CLUSTERBOOT_RUN,I_MPI_PIN /opt/nt/all_reduce_perf -b 8"
    )
    assert made.env == {
        "CLUSTERBOOT_RUN": "r1",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": "-o BatchMode=yes -o ConnectTimeout=10",
        "I_MPI_PIN": "off",
    }


def test_intelmpi_full() -> None:
    made = command(spec("intelmpi", "2021.18", "/opt/intel/mpi/bin/mpirun", **FULL))

    assert shown(made) == (
        *("/opt/intel/mpi/bin/mpirun", "-machinefile", "runs/r1/hostfile", "-n", "16", "-ppn", "8"),
        *("-bootstrap", "ssh", "-bootstrap-exec", "/opt/bin/myssh", "-branch-count", "2", "-iface", "eth0"),
        "-genvlist",
        "A,CLUSTERBOOT_RUN,FI_PROVIDER,FI_TCP_IFACE,I_MPI_PIN,I_MPI_WAIT_MODE,"
        "NCCL_IB_HCA,NCCL_SOCKET_IFNAME,WANDB_KEY",
        *("--extra", "one two", "/opt/nt/all_reduce_perf", "-b", "8"),
    )
    assert made.env == {
        "A": "1",
        "CLUSTERBOOT_RUN": "r1",
        "FI_PROVIDER": "tcp",
        "FI_TCP_IFACE": "eth0",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": "-4",
        "I_MPI_PIN": "off",
        "I_MPI_WAIT_MODE": "1",
        "NCCL_IB_HCA": "mlx5_0,mlx5_1",
        "NCCL_SOCKET_IFNAME": "=eth0",
        "WANDB_KEY": "s3cret",
    }


def test_intelmpi_is_told_where_the_launching_address_is_of_ipv6() -> None:
    made = command(spec("intelmpi", "2021", "/m", interfaces=("eth0",), launch_address="fd00:1::4"))
    assert "-v6" in shown(made)
    assert "-iface" not in shown(made)
