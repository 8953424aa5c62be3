"""The words of failure: what benchmarks and schedulers print when a run ends badly.

Only lines that end or prevent a run are here.
Sources: nccl-tests' and rccl-tests' ``src/common.h``, ``common.cu``, ``util.cu``; the help texts
of Open MPI and PRRTE on slots and time; Slurm, PBS and LSF.
"""

from __future__ import annotations

from clusterboot.bench.launch_patterns import KILLS, LOADER, LOGIN, STARTS
from clusterboot.bench.pattern import HOST, KILLED, pattern

_NCCL = "run again with NCCL_DEBUG=WARN and look for the first warning of that host"
_CUDA = "check the host's GPUs and driver with nvidia-smi and its kernel log for Xid"
_USAGE = "correct the options or the number of ranks a node"
_TIME = "raise the limit, or find what stopped moving with a smaller run"
_SLOTS = "give every node its number of GPUs as slots, or start fewer ranks"
MIN_BANDWIDTH_REMEDY = "the average was below NCCL_TESTS_MIN_BW; look at the largest sizes, not at it"

_FROM_THE_PROGRAM = (
    pattern(
        "missing-library",
        "collbench: ",
        rf"^collbench: {HOST}: lib(?:nccl|cudart)\S*(?:: cannot open| has no )",
        "install NCCL and CUDA's runtime there (pip: nvidia-nccl-cu12, nvidia-cuda-runtime-cu12), or name "
        "their folders as clusterboot.nccl.lib_dirs",
    ),
    pattern(
        "cuda-error", "collbench: ", rf"^collbench: {HOST}: (?:no GPU|GPU \d+) can(?:not)? be used", _CUDA
    ),
    pattern(
        "usage",
        "collbench: ",
        rf"^collbench: (?:{HOST}: )?too few GPUs: ",
        "start no more ranks a node than it has GPUs (--procs-per-node), or test the way with --share-gpu",
    ),
    pattern(
        "usage",
        "or later is needed for",
        rf"^collbench: {HOST}: NCCL \S+ or later is needed for \w+",
        "choose another --dtype, or install a newer NCCL",
    ),
    pattern("timeout", "Test timeout (", rf"(?:^|[\s\d]){HOST}: Test timeout \(", _TIME, running=True),
    pattern("nccl-error", "NCCL failure ", rf"(?:^|[\s\d]){HOST}: Test NCCL failure ", _NCCL, running=True),
    pattern("nccl-error", "NCCL failure ", r"NCCL failure \S", _NCCL, running=True),
    pattern(
        "cuda-error", " failure ", rf"(?:^|[\s\d]){HOST}: Test (?:CUDA|HIP) failure ", _CUDA, running=True
    ),
    pattern("cuda-error", " failure ", r"(?:Test CUDA|Test HIP|^Cuda|^HIP) failure \S", _CUDA, running=True),
    pattern("cuda-error", "KERNEL_LAUNCH_ERROR", r"\[KERNEL_LAUNCH_ERROR\]", _CUDA, running=True),
    pattern("cuda-error", "CUDA driver version", r"CUDA driver version is insufficient", _CUDA),
    pattern("cuda-error", "no CUDA-capable", r"no CUDA-capable device is detected", _CUDA),
    pattern("cuda-error", "Xid", rf"(?:{HOST} kernel: .*)?NVRM: Xid", _CUDA),
    pattern("usage", "Invalid number of GPUs", r"Invalid number of GPUs: ", _USAGE),
    pattern(
        "usage",
        "number of requested GPUs",
        r"number of requested GPUs \(\d+\) is greater than .*?(?:on node \((?P<host>[\w.-]+)\)|$)",
        _USAGE,
    ),
    pattern("usage", "USAGE: ", r"(?:^|\s)USAGE: \S", _USAGE),
    pattern("usage", "usage: collbench", r"^usage: collbench", _USAGE),
    pattern("usage", "invalid option", r"^invalid option|_perf\S*: invalid option", _USAGE),
    pattern(
        "usage", " option", r"_perf\S*: (?:unrecognized option|option requires|option '.*' requires)", _USAGE
    ),
    pattern("usage", "invalid size", r"^invalid size(?:s)? (?:specified )?for ", _USAGE),
    pattern("usage", "power of 2", r"nRanks \d+ is not a power of 2, skipping", "start 2, 4, 8, 16, … ranks"),
    pattern(
        "usage", "or later is needed for", r"NCCL \S+ or later is needed for \w+", "build with a newer NCCL"
    ),
    pattern(
        "usage", "Incompatible NCCL", r"Incompatible NCCL versions", "build with the NCCL that it runs with"
    ),
    pattern(
        "usage", "evice implementation", r"evice implementation .* (?:requires|not supported by)", _USAGE
    ),
    pattern("usage", "This test requires", r"This test requires (?:multimem|GIN) support", _USAGE),
    pattern("usage", "alltoallv traffic", r"(?:Unable to|Invalid) .*alltoallv traffic matrix", _USAGE),
    pattern("usage", "collbench: ", r"^collbench: (?!rank )", _USAGE),
    pattern(
        "killed", "cannot allocate", r"^collbench: rank \d+: cannot allocate", "ask for smaller sizes with -e"
    ),
    pattern(
        "min-bandwidth",
        "Avg bus",
        r"Avg bus bandwidth\s*:\s*\S+\s+FAILED",
        MIN_BANDWIDTH_REMEDY,
    ),
)

_SLOTS_AND_TIME = (
    pattern("timeout", "TIME LIMIT", r"DUE TO TIME LIMIT", _TIME),
    pattern("timeout", "walltime", r"job killed: walltime", _TIME),
    pattern("timeout", "TERM_RUNLIMIT", r"TERM_RUNLIMIT", _TIME),
    pattern("timeout", "time limit", r"time limit for job execution has been reached", _TIME),
    pattern("timeout", "TIMED OUT", r"APPLICATION TIMED OUT, TIMEOUT = ", _TIME),
    pattern("timeout", "DeadlineExceeded", r"\bDeadlineExceeded\b", _TIME),
    pattern(
        "timeout",
        "collective operation",
        r"Watchdog caught collective operation timeout",
        _TIME,
        running=True,
    ),
    pattern("timeout", "timeout: sending", r"^timeout: sending signal", _TIME),
    pattern("no-slots", "enough slots", r"not enough slots available", _SLOTS),
    pattern(
        "no-slots", "already filled", r"All nodes which are allocated for this job are already filled", _SLOTS
    ),
    pattern(
        "no-slots", "allocated resources", r"There are no allocated resources for the application", _SLOTS
    ),
    pattern("no-slots", "more processes than", r"requested more processes than the ppr", _SLOTS),
    pattern("no-slots", "processors requested", r"More processors requested than permitted", _SLOTS),
    pattern("no-slots", "node configuration", r"Requested node configuration is not available", _SLOTS),
)

_CONSEQUENCES = (
    pattern(
        "killed",
        "exit",
        r"exited with non-zero status, thus causing|process(?:es)? returned\s+a non-zero exit code",
        "the program said no more than that; run it alone on one node",
        weak=True,
    ),
    pattern(
        "killed",
        "exiting ",
        r"exited due to process rank (?P<rank>\d+) with PID \d+ on\s+node (?P<host>[\w.-]+) exiting",
        "the program said no more than that; run it alone on that node",
        weak=True,
    ),
    pattern("killed", "BAD TERMINATION", r"BAD TERMINATION OF ONE OF YOUR APPLICATION", KILLED, weak=True),
    pattern(
        "killed",
        "srun: error: ",
        rf"srun: error: {HOST}: tasks? [\d,-]+: Exited with exit code",
        "the program said no more than that; run it alone on that node",
        weak=True,
    ),
    pattern(
        "killed", "CANCELLED", r"slurmstepd: error: \*\*\* \w+ \S+ ON \S+ CANCELLED AT", KILLED, weak=True
    ),
    pattern("killed", "Force Terminated", r"srun: Force Terminated job", KILLED, weak=True),
    pattern("killed", "terminated with exit", r"command terminated with exit code \d+", KILLED, weak=True),
    pattern("killed", "terminate called", r"^terminate called (?:after|without)", KILLED, weak=True),
    pattern(
        "nccl-error",
        ": Test failure ",
        r"\.\. (?P<host>\S+) pid (?P<pid>\d+): Test failure ",
        _NCCL,
        weak=True,
        running=True,
    ),
)

# The first that fits a line is the line's.
PATTERNS = (*_FROM_THE_PROGRAM, *LOADER, *LOGIN, *_SLOTS_AND_TIME, *KILLS, *STARTS, *_CONSEQUENCES)
