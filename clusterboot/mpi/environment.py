"""What every rank finds in its environment."""

from __future__ import annotations

from importlib import resources
from shlex import quote

from .script_names import ends_file
from .spec import RunSpec

# Found again in /proc/PID/environ when the run's processes have to be ended.
RUN_MARK = "CLUSTERBOOT_RUN"


def rank_env(spec: RunSpec) -> dict[str, str]:
    """Give the variables that are exported to every rank, whatever the MPI.

    The cluster file's ``env`` is there as it stands and wins over what is derived; what the MPI
    itself needs, as its module's paths, comes before both. NCCL is
    told the interconnect's interfaces by exact name: without that it takes the first one
    that matches, and ``docker0`` or a VPN often does.
    Source: NCCL's "Environment Variables", NCCL_SOCKET_IFNAME (a leading ``=`` is an exact
    match) and NCCL_IB_HCA.
    """
    derived: dict[str, str] = {}
    if spec.gpu and spec.interfaces:
        derived["NCCL_SOCKET_IFNAME"] = "=" + ",".join(spec.interfaces)
    if spec.gpu and spec.ib_hca:
        derived["NCCL_IB_HCA"] = spec.ib_hca
    return dict(spec.mpi.env) | derived | dict(spec.env) | {RUN_MARK: spec.run_id}


def ranked_program(spec: RunSpec) -> tuple[str, ...]:
    """Give the command of a rank: the program, behind a shell that waits for it.

    That shell leaves a line on the rank's own node where the program does not end well: a launcher's
    and other ranks' words on that could be anybody's. Where each node needs settings of its own it
    makes them: one environment goes to all ranks, and a list of all names would let a node take an
    interface that is the interconnect's only elsewhere. What the user sets stays.
    """
    mark = "" if spec.prints_mark else mark_line(spec.run_id)
    ends = ends_file(spec.cluster, spec.run_id)
    script = f"cb_mark={quote(mark)}; cb_ends={quote(ends)}; {_own_settings(spec)}{_rank_script()}"
    return ("/bin/sh", "-c", script, *spec.program)


def mark_line(run_id: str) -> str:
    """Give the line that stands before and after what a run prints: output of another run has another."""
    return f"# clusterboot run {run_id}"


def _rank_script() -> str:
    """Give the shell's script as one line, which every launcher passes on as it stands."""
    text = resources.files("clusterboot.run").joinpath("rank.sh").read_text("utf-8")
    return " ".join(line for line in text.splitlines() if not line.startswith("#"))


def _own_settings(spec: RunSpec) -> str:
    if len(set(spec.interface_of.values())) < 2:
        return ""
    names = {} if spec.mpi.kind == "openmpi" else {"FI_TCP_IFACE": "$i"}
    if names and spec.tcp_only:
        names["UCX_NET_DEVICES"] = "$i"
    if spec.gpu:
        names["NCCL_SOCKET_IFNAME"] = "=$i"
    chosen = [f'{name}="{value}"; export {name}' for name, value in names.items() if name not in spec.env]
    if not chosen:
        return ""
    hosts: dict[str, list[str]] = {}
    for host, interface in spec.interface_of.items():
        hosts.setdefault(interface, []).append(host)
    cases = [f"{'|'.join(map(quote, having))}) i={quote(name)};;" for name, having in hosts.items()]
    return f'case $(uname -n) in {" ".join(cases)} *) i=;; esac; [ -z "$i" ] || {{ {"; ".join(chosen)}; }}; '
