"""What NCCL and RCCL warn of: whose words they are, whether they end a run, and what to do about them.

Sources: ``ncclDebugLog`` in NCCL's ``src/debug.cc`` has the form of the lines, the ``WARN`` calls
of 2.8 to 2.27 the words; RCCL's ``src/init.cc``; the aws-ofi-nccl plugin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .pattern import Pattern

# How the library's lines begin: `host:pid:tid [device] file.cc:line (function) NCCL LEVEL`, over line breaks.
LIBRARY = (
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9_.-]*):(?P<pid>\d+):\d+[ \n]\[(?P<device>\d*)[^\]\n]*\]"
    r"(?:[ \n]\S+:\d+)?(?:[ \n]\(\w+\))?[ \n]NCCL[ \n]"
)
# With its first words.
WARNING = Pattern(
    "nccl-error",
    "NCCL",
    re.compile(rf"{LIBRARY}(?:WARN|ERROR)(?P<said>[ \n]+\S+(?:[ \n]\S+)?)?"),
    "read that host's lines before it; NCCL_DEBUG=INFO says more",
    running=True,
)
_SAYS_RANK = re.compile(r"\brank (\d+) nranks \d+")
_LIBRARY_LINE = re.compile(LIBRARY)
# All that stands before good tables: a transport that is not there, a setting that is not taken.
_HARMLESS = re.compile(
    r"Failed to open lib(?:ibverbs|mlx5|nccl-net|nccl-tuner)|NET/Plugin ?: |.{0,60}No plugin found"
    r"|NET/OFI Only EFA provider|.{0,60}\bdeprecated|MSCCL|NUMA auto balancing|Missing \"iommu=pt\""
    r"|CollNet (?:is not supported|currently only)|Cannot initialize CollNet|"
    r"NCCL_\w+(?:=\S+)? is being ignored"
    r"|Could not find a path for pattern|Ignoring SHM locality|NCCL_\w+ set by environment"
    r"|User asked for a minimum|m(?:in|ax)CTAs \d+ is larger|Profiler init failed .* Continue"
    r"|CUMEM (?:Host )?(?:is )?not supported|NET/Socket ?: .* greater than the maximum allowed"
    r"|.{0,80}(?:, falling back to (?:simple|default)|will be overridden)"
)
_FATAL = re.compile(
    r"Got completion|[Ff]ail|[Ee]rror|timed? ?outs?\b|Timeout|refused|closed|unreachable|[Aa]bort|"
    r"[Mm]is-?match|wrong|"
    r"\b[Nn]o (?:\w+ )?(?:interface|transport|route|such)|not (?:enough|working|found|available|"
    r"satisfy)|out of memory|exited|"
    r"corrupt|[Ii]nvalid|[Uu]nable|[Cc]ould not|[Cc]an(?:not|'t)|[Dd]uplicate|incompatible|exceeded|"
    r"truncated|lost|bad "
)
_REMEDIES = tuple(
    (re.compile(words), remedy)
    for words, remedy in (
        (
            r"IMEX|MNNVL",
            "check the IMEX service (nvidia-imex-ctl -N) and its channels, or set NCCL_MNNVL_ENABLE=0",
        ),
        (
            r"libnvidia-ml|ROCm runtime|libhsa|libcuda\b|nvml|NVML|CUDA library|CUDA Driver|old driver"
            r"|cuGetProcAddress",
            "check the driver and its libraries there: nvidia-smi or rocminfo, ldconfig -p, the container's "
            "runtime",
        ),
        (
            r"dev/shm|[Ss]hared memory|\bshm\b|SHM",
            "give it more shared memory there (a container's --shm-size), and see df /dev/shm",
        ),
        (
            r"NVLS|NVLink|NVLINK|nvlink|P2P is disabled|peer with device|fabric manager",
            "check NVLink there: nvidia-smi topo -m, nvidia-smi nvlink -s, the fabric manager's service",
        ),
        (
            r"Duplicate GPU",
            "start no more ranks a node than it has GPUs, each with one of its own; see CUDA_VISIBLE_DEVICES",
        ),
        (
            r"Cuda failure|HIP failure|CUDA|cuda|hip[A-Z]|GPU",
            "check the host's GPUs and driver with nvidia-smi and its kernel log for Xid",
        ),
        (
            r"interface found|NCCL_SOCKET_IFNAME|NCCL_OOB|NCCL_COMM_ID|IPv4_or_hostname|Bootstrap : no",
            "name the network's interface with NCCL_SOCKET_IFNAME, as that host calls it",
        ),
        (
            r"wrong type|[Vv]ersion|[Mm]is-?match|incompatible version|magic",
            "start all ranks with one NCCL library and one environment; nothing else may connect to "
            "their ports",
        ),
        (
            r"Cannot allocate memory|ENOMEM|ibv_reg_mr|ibv_create_|malloc|calloc|memory",
            "raise the memlock limit there (ulimit -l unlimited, for slurmd and containers too), and "
            "see its free memory",
        ),
        (
            r"NET/OFI|[Ll]ibfabric|Error: network|[Pp]lugin|EFA|aws-ofi",
            "check the network plugin and its library there: NCCL_NET_PLUGIN, fi_info, LD_LIBRARY_PATH",
        ),
        (
            r"NET/IB|ibv_|IBV_|RoCE|roce|mlx\d|GID|NIC\b|HCA|Got completion|async (?:fatal )?event|GDR|gdr_",
            "look at that host's network adapters and at the peer that the warning names",
        ),
        (
            r"[Ss]ocket|[Cc]onnect|bootstrap|Bootstrap|Net :|refused|No route|remote peer|timed? ?out|Proxy",
            "see whether these hosts reach each other there: address, interface (NCCL_SOCKET_IFNAME), "
            "firewall, MTU; "
            "a peer that ended first says why itself",
        ),
        (r"XML|topology|TOPO|numa|NUMA|CPU", "check the topology that the host shows, and NCCL_TOPO_FILE"),
        (r"[Ii]nvalid|argument|NCCL_\w+", "correct the setting that it names"),
    )
)


@dataclass(frozen=True)
class WarnedProcess:
    """A process's device, as the library's lines name it."""

    host: str
    pid: int
    device: int | None


def process_of(match: re.Match[str]) -> WarnedProcess:
    """Give the process whose line this is."""
    return WarnedProcess(match["host"], int(match["pid"]), int(match["device"]) if match["device"] else None)


def remedy_for(words: str) -> str:
    """Say what to do about a warning's cause."""
    return next((remedy for about, remedy in _REMEDIES if about.search(words)), WARNING.remedy)


def is_fatal(words: str) -> bool:
    """Tell whether a warning is of something that ends a run."""
    return _FATAL.search(words) is not None


def is_harmless(words: str) -> bool:
    """Tell whether a warning stands beside many a good table."""
    return _HARMLESS.match(words) is not None


def rank_said(text: str) -> tuple[WarnedProcess, int] | None:
    """Read which rank a process is, from the library's own line on its communicator."""
    said = _SAYS_RANK.search(text) if " nranks " in text else None
    match = _LIBRARY_LINE.search(text) if said else None
    return (process_of(match), int(said[1])) if said and match else None
