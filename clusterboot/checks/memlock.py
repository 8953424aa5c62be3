"""The memory that ranks may lock, which RDMA needs."""

from __future__ import annotations

from collections.abc import Mapping

from clusterboot.session.visit import UnfitError
from clusterboot.units import format_size

from .check import Check
from .subjects import Planned

# NCCL and MPI register buffers of hundreds of MiB a rank; systemd's default is 8 MiB.
_LEAST_KIB = 1024 * 1024


class MemoryLockable(Check[Planned, None]):
    """Each node with an active RDMA port lets a non-interactive shell lock enough memory."""

    def judge(self, subject: Planned, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        found: dict[str, UnfitError] = {}
        for name, node in subject.ready.facts.items():
            limit_kib = node.limits.memlock_kib
            rdma = any(port.state == "ACTIVE" for port in node.rdma_ports)
            if rdma and node.limits.known and limit_kib is not None and limit_kib < _LEAST_KIB:
                shown = format_size(limit_kib * 1024)
                found[name] = UnfitError(
                    "mpi-launch",
                    f"a non-interactive shell may lock only {shown} of memory, too little for RDMA",
                    stage="launch",
                    remedy="set LimitMEMLOCK=infinity for its ssh service, and memlock in limits.conf",
                )
        return found
