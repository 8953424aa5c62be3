from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launch_specs import DIFFER, spec

from clusterboot.errors import ValidationError
from clusterboot.mpi.launcher import Mpi
from clusterboot.mpi.launchers import command


def test_each_node_is_told_its_own_interface_where_they_differ() -> None:
    nccl = command(spec("openmpi", "4.1.4", "/m", gpu=True, **DIFFER)).argv
    assert (
        "case $(uname -n) in gpu001|gpu003) i=eth0;; gpu002) i=ens3;; *) i=;; esac; "
        '[ -z "$i" ] || { NCCL_SOCKET_IFNAME="=$i"; export NCCL_SOCKET_IFNAME; }; '
    ) in nccl[-4]
    hydra = command(spec("mpich", "5.0.2", "/m", tcp_only=True, **DIFFER)).argv
    assert (
        "case $(uname -n) in gpu001|gpu003) i=eth0;; gpu002) i=ens3;; *) i=;; esac; "
        '[ -z "$i" ] || { FI_TCP_IFACE="$i"; export FI_TCP_IFACE; '
        'UCX_NET_DEVICES="$i"; export UCX_NET_DEVICES; }; '
    ) in hydra[-4]
    # Open MPI's own TCP takes the subnet, and where the user has chosen nobody else does.
    assert "eth0" not in command(spec("openmpi", "4.1.4", "/m", tcp_only=True, **DIFFER)).argv[-4]
    chosen = {"NCCL_SOCKET_IFNAME": "bond0"}
    assert "eth0" not in command(spec("openmpi", "4.1.4", "/m", gpu=True, env=chosen, **DIFFER)).argv[-4]


ALL: list[tuple[str, str]] = [
    ("openmpi", "4.1.4"),
    ("openmpi", "5.0.1"),
    ("mpich", "4.0.2"),
    ("intelmpi", "2021"),
]


@pytest.mark.parametrize(("kind", "version"), ALL)
@given(secret=st.text(st.characters(exclude_characters="\0"), min_size=12))
def test_a_value_never_stands_on_a_command_line(kind: str, version: str, secret: str) -> None:
    made = command(spec(kind, version, "/m", env={"TOKEN": "key:" + secret}))

    assert made.env["TOKEN"] == "key:" + secret
    assert not any("key:" + secret in word for word in made.argv)


MODULE = {"LD_LIBRARY_PATH": "/opt/m/lib:/opt/fabric/lib", "PATH": "/opt/m/bin:/usr/bin", "M_HOME": "/opt/m"}


@pytest.mark.parametrize(("kind", "version"), ALL)
def test_what_a_module_set_is_exported_to_launcher_and_ranks(kind: str, version: str) -> None:
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
    kind: str, version: str, changes: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as refused:
        command(spec(kind, version, "/m", **changes))
    assert refused.value.stage == "launch"
