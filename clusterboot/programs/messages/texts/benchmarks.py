"""What nccl-tests, rccl-tests and collbench say when they fail or are not used rightly.

Sources: ``src/common.h``, ``src/common.cu`` and ``src/util.cu`` of nccl-tests and rccl-tests;
``collbench.c``; PyTorch's watchdog.
"""

from ..pattern import texts
from .programs import TIME
from .transports import CUDA

_NCCL = "run again with NCCL_DEBUG=WARN and look for the first warning of that host"
_DRIVER = "install a newer NVIDIA driver there, or a program built for an older CUDA"
_USAGE = "correct the options or the number of ranks a node"
MIN_BANDWIDTH_REMEDY = "the average was below NCCL_TESTS_MIN_BW; look at the largest sizes, not at it"

BENCHMARKS = (
    *texts(
        "missing-library",
        "install NCCL and CUDA's runtime there (pip: nvidia-nccl-cu12, nvidia-cuda-runtime-cu12), or name "
        "their folders as clusterboot.nccl.lib_dirs",
        r"^collbench: {name}: lib(?:nccl|cudart)\S*(?:: cannot open| has no )",
    ),
    *texts(
        "cuda-error",
        _DRIVER,
        "^collbench: {name}: {some}CUDA driver version is insufficient",
    ),
    *texts(
        "cuda-error",
        _DRIVER,
        r"(?:^|[\s\d]){name}: Test CUDA failure {some}CUDA driver version is insufficient",
        running=True,
    ),
    *texts("cuda-error", CUDA, r"^collbench: {name}: (?:no GPU|GPU \d+) can(?:not)? be used"),
    *texts(
        "usage",
        "start no more ranks a node than it has GPUs (--procs-per-node), or test the way with --share-gpu",
        "^collbench: (?:{name}: )?too few GPUs: ",
    ),
    *texts(
        "usage",
        "choose another --dtype, or install a newer NCCL",
        r"^collbench: {name}: NCCL \S+ or later is needed for \w+",
    ),
    *texts("timeout", TIME, r"(?:^|[\s\d]){name}: Test timeout \(", running=True),
    *texts(
        "nccl-error",
        _NCCL,
        "(?:^|[\\s\\d]){name}: Test NCCL failure ",
        r"NCCL failure \S",
        running=True,
    ),
    *texts(
        "cuda-error",
        CUDA,
        r"(?:^|[\s\d]){name}: Test (?:CUDA|HIP) failure ",
        r"(?:Test CUDA|Test HIP|^Cuda|^HIP) failure \S",
        r"\[KERNEL_LAUNCH_ERROR\]",
        running=True,
    ),
    *texts("cuda-error", _DRIVER, "CUDA driver version is insufficient"),
    *texts("cuda-error", CUDA, "no CUDA-capable device is detected", "(?:{name} kernel: …)?NVRM: Xid"),
    *texts(
        "usage",
        _USAGE,
        "Invalid number of GPUs: ",
        r"number of requested GPUs \(\d+\) is greater than (?:{some} on node \({name}\))?",
        r"\bUSAGE: \S",
        "^usage: collbench",
        r"(?:^|_perf\S*: )(?:invalid|unrecognized) option",
        r"_perf\S*: option (?:'{some}' )?requires",
        "^invalid size(?:s)? (?:specified )?for ",
    ),
    *texts("usage", "start 2, 4, 8, 16, … ranks", r"nRanks \d+ is not a power of 2, skipping"),
    *texts("usage", "build with a newer NCCL", r"NCCL \S+ or later is needed for \w+"),
    *texts("usage", "build with the NCCL that it runs with", "Incompatible NCCL versions"),
    *texts(
        "usage",
        _USAGE,
        "evice implementation … (?:requires|not supported by)",
        "This test requires (?:multimem|GIN) support",
        "(?:Unable to|Invalid) …alltoallv traffic matrix",
        "^collbench: (?!rank )",
    ),
    *texts("killed", "ask for smaller sizes with -e", r"^collbench: rank \d+: cannot allocate"),
    *texts("min-bandwidth", MIN_BANDWIDTH_REMEDY, r"Avg bus bandwidth ?: ?\S+ FAILED"),
    *texts("timeout", TIME, "Watchdog caught collective operation timeout", running=True),
)

CONSEQUENCES = texts(
    "nccl-error",
    _NCCL,
    r"\.\. (?P<host>\S+) pid (?P<pid>\d+): Test failure ",
    strength="weak",
    running=True,
)
