"""What the transports below MPI say when they cannot work: UCX, libfabric, PSM, TCP.

Sources: UCX's ``src/ucs/debug/log.c`` (form of its lines); Open MPI's ``help-mtl-*.txt``,
``help-mpi-btl-*.txt``, ``help-mpi-pml-ob1.txt``, ``btl_tcp_endpoint.c``, ``pml_base_select.c`` and
``common_ucx.h`` (its errors have the source's file and line); libfabric's ``fi_log``; PSM2's and PSM3's
``_HFI_ERROR`` (host and pid without a blank before the words).
Their warnings that stand before good tables, as of OpenFabrics device initialisation, are left
alone.
"""

from ..pattern import texts

_ADAPTER = (
    "look at that host's network adapters (ibstat, fi_info, ucx_info -d), or choose others with "
    "UCX_NET_DEVICES"
)
FABRIC = (
    "check with fi_info that each node has the provider, or choose another (FI_PROVIDER, I_MPI_OFI_PROVIDER)"
)
MEMLOCK = (
    "raise the memlock limit (ulimit -l unlimited) for logins and for slurmd, or free the adapter's resources"
)
_LINK = "look at both hosts' network adapters, cables and switch ports: ibstat, perfquery, ethtool -S"
_TCP = "choose the network with btl_tcp_if_include, and see whether a firewall lies between these nodes"
_REACH = (
    "see whether these hosts reach each other on the addresses that UCX chose; UCX_NET_DEVICES names others"
)
CUDA = "check the host's GPUs and driver with nvidia-smi and its kernel log for Xid"

TRANSPORTS = (
    *texts(
        "mpi-launch",
        FABRIC,
        "{speaker}OFI MTL is aborting",
        r"{speaker}PML \w+ cannot be selected",
        r"{speaker}selected pml \w+, but peer",
        "OFI MTL was not able to find endpoint information for a remote",
        "failed to register your buffer. This error is fatal",
        "Initialization of PSM2? library failed",
        "PSM2? was unable to open an endpoint",
        "(?:shm|dapl|tmi|ofa|ofi|tcp|shm:\\w+) fabric is not available and fallback fabric is not enabled",
    ),
    *texts(
        "mpi-launch",
        FABRIC,
        r"failed an OFI Libfabric library call",
        r"MPI startup\(\): {some}\b(?:could not|cannot|can't|failed|not found)\b",
        strength="faint",
    ),
    *texts(
        "killed",
        _LINK,
        # UCX's last words have no level: `[host:pid:0:tid] file.c:line words`.
        r"{tag} \w+\.c:\d+ (?:FATAL: )?{some}(?:Transport|RNR) retry count exceeded",
        "InfiniBand retry count between two MPI processes has been exceeded",
        '"receiver not ready" retry count on a',
        "RDMA CM returned (?:that the device|an event error)",
    ),
    *texts(
        "mpi-launch",
        MEMLOCK,
        "process failed to create a queue pair",
    ),
    *texts(
        "mpi-launch",
        "give these nodes one adapter type and one receive queue setting",
        "receive queue configuration for the OpenFabrics devices on two nodes are incompatible",
        "two different OpenFabrics transport types in the same",
    ),
    *texts(
        "killed",
        _TCP,
        "MPI communication peer process has unexpectedly disconnected",
        in_midrun="killed",
    ),
    *texts(
        "mpi-launch",
        _TCP,
        "failed to TCP connect to a peer MPI process",
        "failed to handshake with a connecting peer MPI process",
        "{speaker}connect\\(\\) to \\S+ (?:port \\d+ )?failed: ",
        "MPI processes are unable to reach each other",
        "one MPI process is unreachable from another",
        in_midrun="killed",
        strength="faint",
    ),
    *texts(
        "cuda-error",
        CUDA,
        "The call to cu\\w+(?:\\(\\S*\\))? failed\\. This (?:is a unrecoverable error|is highly unusual)",
    ),
    *texts(
        "mpi-launch",
        MEMLOCK,
        r"{speaker}\bUCX (?:ERROR|FATAL) {some}(?:[Cc]annot allocate memory|locked memory)",
        r"libfabric:\d+:\S*<(?:warn|critical)> {some}[Cc]annot allocate memory",
        in_midrun="nccl-error",
        strength="faint",
    ),
    *texts(
        "mpi-launch",
        _REACH,
        r"{speaker}\bUCX (?:ERROR|FATAL) {some}(?:refused|unreachable|No route|timed out)",
        in_midrun="nccl-error",
        strength="faint",
    ),
    *texts(
        "mpi-launch",
        _ADAPTER,
        r"{speaker}\bUCX (?:ERROR|FATAL) ",
        r"{speaker}\w+\.c:\d+ Error: ",
        r"{speaker}\w+\.c:\d+ Fatal: ",
        r"{speaker}\w+\.c:\d+ Assertion ",
        r"{name}(?:\.\d+|:\S+ )(?:PSM\d )?can't open (?:hfi|nic) unit:",
        r"{name}(?:\.\d+|:\S+ )hfi_\w+: {some}\bfailed\b",
        r"libfabric:\d+:\S*<(?:warn|critical)> {some}\b(?i:failed|error|abort|unable|cannot|can't)\b",
        in_midrun="nccl-error",
        strength="faint",
    ),
)
