"""What every rank finds in its environment."""

from __future__ import annotations

from clusterboot.launch.spec import RunSpec

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
