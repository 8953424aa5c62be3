from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.config.cluster import MpiKind
from clusterboot.errors import UsageError
from clusterboot.facts.records import Mpi
from clusterboot.launch.launchers import command
from clusterboot.launch.spec import RunSpec

FABRIC = ipaddress.ip_network("10.1.0.0/16")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10"


def spec(kind: MpiKind, version: str, launcher: str, **changes: object) -> RunSpec:
    minimal = RunSpec(
        mpi=Mpi(kind, version, launcher),
        run_id="r1",
        hostfile="runs/r1/hostfile",
        ranks=16,
        ranks_per_node=8,
        program=("/opt/nt/all_reduce_perf", "-b", "8"),
    )
    return replace(minimal, **changes)  # type: ignore[arg-type]


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
    "bind": "core",
    "radix": 2,
    "agent": ("/opt/bin/myssh", "-4"),
    "prefix": "/opt/mpi",
    "extra_args": ("--extra", "one two"),
}


def test_openmpi_4_minimal() -> None:
    made = command(spec("openmpi", "4.1.4", "/usr/bin/mpirun"))

    assert " ".join(made.argv) == (
        "/usr/bin/mpirun --hostfile runs/r1/hostfile -np 16 --map-by ppr:8:node --bind-to none"
        f" --mca clusterboot_run r1 --mca plm_rsh_agent {SSH}"
        " -x CLUSTERBOOT_RUN /opt/nt/all_reduce_perf -b 8"
    )
    assert made.env == {"CLUSTERBOOT_RUN": "r1"}


def test_openmpi_4_full() -> None:
    made = command(spec("openmpi", "4.1.4", "/opt/mpi/bin/mpirun", **FULL))

    assert made.argv == (
        *("/opt/mpi/bin/mpirun", "--allow-run-as-root", "--prefix", "/opt/mpi"),
        *("--hostfile", "runs/r1/hostfile", "-np", "16", "--map-by", "ppr:8:node:oversubscribe"),
        *("--bind-to", "core", "--mca", "clusterboot_run", "r1"),
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

    assert " ".join(made.argv) == (
        "/opt/ompi5/bin/mpirun --hostfile runs/r1/hostfile -np 16 --map-by ppr:8:node --bind-to none"
        f" --prtemca clusterboot_run r1 --prtemca plm_ssh_agent {SSH}"
        " -x CLUSTERBOOT_RUN /opt/nt/all_reduce_perf -b 8"
    )


def test_openmpi_5_full() -> None:
    made = command(spec("openmpi", "5.0.11", "/opt/mpi/bin/mpirun", **FULL))

    assert made.argv == (
        *("/opt/mpi/bin/mpirun", "--allow-run-as-root", "--prefix", "/opt/mpi"),
        *("--hostfile", "runs/r1/hostfile", "-np", "16", "--map-by", "ppr:8:node:oversubscribe"),
        *("--bind-to", "core", "--prtemca", "clusterboot_run", "r1"),
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

    assert "prte_if_include 10.1.0.0/16" in " ".join(made.argv)


DIFFER: dict[str, object] = {
    "interfaces": ("eth0", "ens3"),
    "interface_of": {"gpu001": "eth0", "gpu002": "ens3", "gpu003": "eth0"},
}


@pytest.mark.parametrize("version", ["4.1.4", "5.0.11"])
def test_openmpi_takes_interfaces_where_the_subnet_is_of_ipv6(version: str) -> None:
    subnet = ipaddress.ip_network("fd00:1::/64")
    made = command(spec("openmpi", version, "/m", network=subnet, interfaces=("eth0", "ens3")))
    argv = list(made.argv)
    assert argv[argv.index("btl_tcp_if_include") + 1] == "eth0,ens3"
    assert ("oob_tcp_if_include" in argv) is version.startswith("4")
    assert str(subnet) not in argv or version.startswith("5")


def test_each_node_is_told_its_own_interface_where_they_differ() -> None:
    nccl = command(spec("openmpi", "4.1.4", "/m", gpu=True, **DIFFER)).argv
    assert nccl[-6:] == (
        *("/bin/sh", "-c"),
        "case $(uname -n) in gpu001|gpu003) i=eth0;; gpu002) i=ens3;; *) i=;; esac; "
        '[ -z "$i" ] || { NCCL_SOCKET_IFNAME="=$i"; export NCCL_SOCKET_IFNAME; }; exec "$0" "$@"',
        *("/opt/nt/all_reduce_perf", "-b", "8"),
    )
    hydra = command(spec("mpich", "5.0.2", "/m", tcp_only=True, **DIFFER)).argv
    assert hydra[-4] == (
        "case $(uname -n) in gpu001|gpu003) i=eth0;; gpu002) i=ens3;; *) i=;; esac; "
        '[ -z "$i" ] || { FI_TCP_IFACE="$i"; export FI_TCP_IFACE; '
        'UCX_NET_DEVICES="$i"; export UCX_NET_DEVICES; }; exec "$0" "$@"'
    )
    # Open MPI's own TCP takes the subnet, and where the user has chosen nobody else does.
    assert "/bin/sh" not in command(spec("openmpi", "4.1.4", "/m", tcp_only=True, **DIFFER)).argv
    chosen = {"NCCL_SOCKET_IFNAME": "bond0"}
    assert "/bin/sh" not in command(spec("openmpi", "4.1.4", "/m", gpu=True, env=chosen, **DIFFER)).argv


@pytest.mark.parametrize(
    ("version", "words"),
    [("4.1.4", "--mca plm_rsh_no_tree_spawn 1"), ("5.0.1", "--prtemca plm_ssh_no_tree_spawn 1")],
)
def test_openmpi_can_be_told_to_launch_flat(version: str, words: str) -> None:
    assert words in " ".join(command(spec("openmpi", version, "/m", tree_spawn=False)).argv)


def test_mpich_minimal() -> None:
    made = command(spec("mpich", "4.0.2", "/usr/bin/mpiexec.hydra"))

    assert " ".join(made.argv) == (
        "/usr/bin/mpiexec.hydra -f runs/r1/hostfile -n 16 -ppn 8 -launcher ssh -bind-to none"
        " -genvlist CLUSTERBOOT_RUN /opt/nt/all_reduce_perf -b 8"
    )
    assert made.env == {
        "CLUSTERBOOT_RUN": "r1",
        "HYDRA_LAUNCHER_EXTRA_ARGS": "-o BatchMode=yes -o ConnectTimeout=10",
    }


def test_mpich_full() -> None:
    made = command(spec("mpich", "4.0.2", "/usr/bin/mpiexec.hydra", **FULL))

    assert made.argv == (
        *("/usr/bin/mpiexec.hydra", "-f", "runs/r1/hostfile", "-n", "16", "-ppn", "8"),
        *("-launcher", "ssh", "-launcher-exec", "/opt/bin/myssh", "-localhost", "10.1.0.4"),
        *("-bind-to", "core", "-genvlist"),
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
    argv = command(spec("mpich", "5.0.2", "/m", interfaces=("ib0",))).argv

    assert " ".join(argv).startswith("/m -f runs/r1/hostfile -n 16 -ppn 8 -launcher ssh -iface ib0 ")


def test_mvapich_is_mpich_with_its_own_affinity() -> None:
    made = command(spec("mvapich", "2.3.7", "/opt/mv/bin/mpiexec"))

    assert " ".join(made.argv) == (
        "/opt/mv/bin/mpiexec -f runs/r1/hostfile -n 16 -ppn 8 -launcher ssh -bind-to none"
        " -genvlist CLUSTERBOOT_RUN,MV2_ENABLE_AFFINITY,MVP_ENABLE_AFFINITY /opt/nt/all_reduce_perf -b 8"
    )
    assert made.env["MV2_ENABLE_AFFINITY"] == made.env["MVP_ENABLE_AFFINITY"] == "0"


def test_mvapich_full() -> None:
    made = command(spec("mvapich", "3.0", "/opt/mv/bin/mpiexec", **FULL))
    like_mpich = command(spec("mpich", "4.0.2", "/usr/bin/mpiexec.hydra", **FULL))

    named = like_mpich.argv.index("-genvlist") + 1
    assert (made.argv[1:named], made.argv[named + 1 :]) == (
        like_mpich.argv[1:named],
        like_mpich.argv[named + 1 :],
    )
    assert made.argv[named].split(",") == sorted([*like_mpich.argv[named].split(","), "MV2_USE_BLOCKING"])
    assert made.env == {**like_mpich.env, "MV2_USE_BLOCKING": "1"}


def test_intelmpi_minimal() -> None:
    made = command(spec("intelmpi", "2021.18", "/opt/intel/mpi/bin/mpirun"))

    assert " ".join(made.argv) == (
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

    assert made.argv == (
        *("/opt/intel/mpi/bin/mpirun", "-machinefile", "runs/r1/hostfile", "-n", "16", "-ppn", "8"),
        *("-bootstrap", "ssh", "-bootstrap-exec", "/opt/bin/myssh", "-branch-count", "2", "-iface", "eth0"),
        "-genvlist",
        "A,CLUSTERBOOT_RUN,FI_PROVIDER,FI_TCP_IFACE,I_MPI_PIN_DOMAIN,I_MPI_WAIT_MODE,"
        "NCCL_IB_HCA,NCCL_SOCKET_IFNAME,WANDB_KEY",
        *("--extra", "one two", "/opt/nt/all_reduce_perf", "-b", "8"),
    )
    assert made.env == {
        "A": "1",
        "CLUSTERBOOT_RUN": "r1",
        "FI_PROVIDER": "tcp",
        "FI_TCP_IFACE": "eth0",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": "-4",
        "I_MPI_PIN_DOMAIN": "core",
        "I_MPI_WAIT_MODE": "1",
        "NCCL_IB_HCA": "mlx5_0,mlx5_1",
        "NCCL_SOCKET_IFNAME": "=eth0",
        "WANDB_KEY": "s3cret",
    }


def test_intelmpi_is_told_where_the_launching_address_is_of_ipv6() -> None:
    made = command(spec("intelmpi", "2021", "/m", interfaces=("eth0",), launch_address="fd00:1::4"))
    assert "-v6" in made.argv
    assert "-iface" not in made.argv


def test_intelmpi_can_be_told_to_launch_flat() -> None:
    assert "-branch-count 0" in " ".join(command(spec("intelmpi", "2021", "/m", tree_spawn=False)).argv)


ALL: list[tuple[MpiKind, str]] = [
    ("openmpi", "4.1.4"),
    ("openmpi", "5.0.1"),
    ("mpich", "4.0.2"),
    ("mvapich", "3.0"),
    ("intelmpi", "2021"),
]


@pytest.mark.parametrize(("kind", "version"), ALL)
@given(secret=st.text(st.characters(exclude_characters="\0"), min_size=12))
def test_a_value_never_stands_on_a_command_line(kind: MpiKind, version: str, secret: str) -> None:
    made = command(spec(kind, version, "/m", env={"TOKEN": "key:" + secret}))

    assert made.env["TOKEN"] == "key:" + secret
    assert not any("key:" + secret in word for word in made.argv)


MODULE = {"LD_LIBRARY_PATH": "/opt/m/lib:/opt/fabric/lib", "PATH": "/opt/m/bin:/usr/bin", "M_HOME": "/opt/m"}


@pytest.mark.parametrize(("kind", "version"), ALL)
def test_what_a_module_set_is_exported_to_launcher_and_ranks(kind: MpiKind, version: str) -> None:
    made = command(spec(kind, version, "/m", mpi=Mpi(kind, version, "/m", None, MODULE)))

    assert {name: made.env[name] for name in MODULE} == MODULE
    listed = made.argv[made.argv.index("-genvlist") + 1].split(",") if "-genvlist" in made.argv else []
    exported = [after for word, after in zip(made.argv, made.argv[1:], strict=False) if word == "-x"]
    assert set(MODULE) <= {*listed, *exported}


@pytest.mark.parametrize(
    ("version", "option"),
    [("4.1.4", "--mca plm_rsh_pass_libpath"), ("5.0.11", "--prtemca plm_ssh_pass_libpath")],
)
def test_open_mpi_tells_its_daemons_where_a_modules_libraries_are(version: str, option: str) -> None:
    made = command(spec("openmpi", version, "/m", mpi=Mpi("openmpi", version, "/m", None, MODULE)))

    assert f"{option} /opt/m/lib:/opt/fabric/lib" in " ".join(made.argv)


def test_what_the_user_sets_wins_over_what_is_derived() -> None:
    wish = {"NCCL_SOCKET_IFNAME": "bond0"}

    made = command(spec("openmpi", "4.1.4", "/m", env=wish, gpu=True, interfaces=("eth0",)))

    assert made.env["NCCL_SOCKET_IFNAME"] == "bond0"


def test_nccl_is_told_nothing_where_no_gpu_runs() -> None:
    made = command(spec("openmpi", "4.1.4", "/m", interfaces=("eth0",), ib_hca="mlx5_0"))

    assert not any(name.startswith("NCCL") for name in made.env)


@pytest.mark.parametrize(
    "changes",
    [
        {"program": ()},
        {"ranks": 0},
        {"ranks_per_node": 17},
        {"env": {"A;touch f": "1"}},
        {"env": {"UID": "0"}},
        {"env": {"A": "x\0y"}},
        {"agent": ()},
        {"agent": ("ssh", "-o ConnectTimeout=3")},
        {"agent": ("ssh", "$(touch f)")},
    ],
)
@pytest.mark.parametrize(("kind", "version"), ALL)
def test_what_no_launcher_could_carry_out_is_refused(
    kind: MpiKind, version: str, changes: dict[str, object]
) -> None:
    with pytest.raises(UsageError) as refused:
        command(spec(kind, version, "/m", **changes))
    assert refused.value.stage == "launch"
