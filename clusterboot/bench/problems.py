"""What goes wrong with launched benchmarks, as they and their launchers say it: a table.

Only lines that end or prevent a run are here. Warnings that stand before many a good table
(OpenFabrics device initialisation, UCX) are left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterboot.bench.records import Problem, ProblemKind

_HOST = r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*)"
_NCCL_REMEDY = "run again with NCCL_DEBUG=WARN and look for the first warning of that host"
_CUDA_REMEDY = "check the host's GPUs and driver with nvidia-smi and its kernel log for Xid"
_LIBRARY_REMEDY = "install it on every node, or name its folder in LD_LIBRARY_PATH of the cluster file's env"
_EXECUTABLE_REMEDY = "install it at the same path on every node, or set clusterboot.mpi.prefix"
_SSH_REMEDY = "run bootstrap: it proves every login that the launch needs and names the failing pair"
_KILLED_REMEDY = "look at that host's kernel log and memory at that time"
_LAUNCH_REMEDY = "see the lines around it; run bootstrap to prove the launch tree"
_USAGE_REMEDY = "correct the options or the number of ranks a node"
_TIME_REMEDY = "raise the limit, or find what stopped moving with a smaller run"
_SLOTS_REMEDY = "give every node its number of GPUs as slots, or start fewer ranks"


@dataclass(frozen=True)
class Pattern:
    """One kind of line. ``weak`` ones count only where nothing else explains the end."""

    kind: ProblemKind
    regex: re.Pattern[str]
    remedy: str
    weak: bool = False


def _pattern(kind: ProblemKind, regex: str, remedy: str, *, weak: bool = False) -> Pattern:
    return Pattern(kind, re.compile(regex), remedy, weak)


# The first that fits a line is the line's. Sources: nccl-tests' src/common.h and common.cu;
# help texts of Open MPI 4 (orte/mca/*/help-*.txt) and PRRTE; Hydra; glibc's ld.so; OpenSSH; Slurm.
PATTERNS = (
    _pattern("timeout", rf"^{_HOST}: Test timeout \(", _TIME_REMEDY),
    _pattern("timeout", r"DUE TO TIME LIMIT|job killed: walltime|TERM_RUNLIMIT", _TIME_REMEDY),
    _pattern("timeout", r"Watchdog caught collective operation timeout", _TIME_REMEDY),
    _pattern("nccl-error", rf"^\s*{_HOST}: Test NCCL failure ", _NCCL_REMEDY),
    _pattern("nccl-error", r"Test NCCL failure ", _NCCL_REMEDY),
    _pattern("cuda-error", rf"^\s*{_HOST}: Test CUDA failure ", _CUDA_REMEDY),
    _pattern("cuda-error", r"Test CUDA failure |NVRM: Xid|CUDA driver version is insufficient", _CUDA_REMEDY),
    _pattern("usage", r"^Invalid number of GPUs: ", _USAGE_REMEDY),
    _pattern("usage", r"^\s*USAGE: |^usage: collbench|^invalid option '", _USAGE_REMEDY),
    _pattern("usage", r"^invalid size(?:s)? (?:specified )?for ", _USAGE_REMEDY),
    _pattern("usage", r"^collbench: (?!rank )", _USAGE_REMEDY),
    _pattern("killed", r"^collbench: rank \d+: cannot allocate", "ask for smaller sizes with -e"),
    _pattern(
        "min-bandwidth",
        r"^#?\s*Avg bus bandwidth\s*:\s*\S+\s+FAILED",
        "the average was below NCCL_TESTS_MIN_BW; look at the largest sizes, not at the average",
    ),
    _pattern("missing-library", r"error while loading shared libraries: ", _LIBRARY_REMEDY),
    _pattern("missing-library", r"version `?G(?:LIBC|LIBCXX|CC)\w*_\S+' not found", _LIBRARY_REMEDY),
    _pattern("missing-library", r"symbol lookup error: ", _LIBRARY_REMEDY),
    _pattern("no-slots", r"There are not enough slots available in the system", _SLOTS_REMEDY),
    _pattern("no-slots", r"All nodes which are allocated for this job are already filled", _SLOTS_REMEDY),
    _pattern(
        "missing-executable",
        r"unable to find the specified executable|could not (?:find an|access or execute an) executable",
        _EXECUTABLE_REMEDY,
    ),
    _pattern(
        "missing-executable",
        r"(?:\borted|\bprted|hydra_(?:pmi|bstrap)_proxy|\b\w+_perf|\bmpirun)['\"]?: (?:command )?not found",
        _EXECUTABLE_REMEDY,
    ),
    _pattern(
        "missing-executable",
        r"(?:orted|prted|hydra_\w+_proxy|\w+_perf|collbench\S*|mpirun)['\"]?: No such file or directory",
        _EXECUTABLE_REMEDY,
    ),
    _pattern("missing-executable", r"execvp error on file \S+ \(", _EXECUTABLE_REMEDY),
    _pattern("missing-executable", r"slurmstepd: error: execve\(\): ", _EXECUTABLE_REMEDY),
    _pattern("ssh", r"(?:^|[\s@])(?P<host>[A-Za-z0-9][\w.-]*): Permission denied \(", _SSH_REMEDY),
    _pattern("ssh", r"Permission denied \((?:publickey|password|gssapi|keyboard)", _SSH_REMEDY),
    _pattern("ssh", r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED", _SSH_REMEDY),
    _pattern("ssh", rf"ssh: connect to host {_HOST} port \d+: ", _SSH_REMEDY),
    _pattern("ssh", rf"ssh: Could not resolve hostname {_HOST}:", _SSH_REMEDY),
    _pattern(
        "ssh",
        rf"(?:kex_exchange_identification|ssh_exchange_identification): |^Connection closed by {_HOST} port",
        _SSH_REMEDY,
    ),
    _pattern("killed", r"(?:ORTE|PRTE|PRRTE) has lost communication with a remote daemon", _KILLED_REMEDY),
    _pattern(
        "killed",
        r"noticed that process rank \d+ with PID \d+ on node (?P<host>[\w.-]+) exited on signal",
        _KILLED_REMEDY,
    ),
    _pattern(
        "killed",
        rf"srun: error: {_HOST}: tasks? [\d,-]+: (?:Killed|Terminated|Segm|Bus|Abort)",
        _KILLED_REMEDY,
    ),
    _pattern(
        "killed", r"BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES|KILLED BY SIGNAL: ", _KILLED_REMEDY
    ),
    _pattern("killed", r"oom-kill|Out of memory: Kill(?:ed)? process|Out Of Memory", _KILLED_REMEDY),
    _pattern("killed", rf"^\[{_HOST}:\d+\] \*\*\* Process received signal \*\*\*", _KILLED_REMEDY),
    _pattern(
        "killed",
        r"^\S*(?:Segmentation fault|Bus error|Aborted|Killed)(?: +\(core dumped\))?$",
        _KILLED_REMEDY,
    ),
    _pattern(
        "mpi-launch",
        r"(?:ORTE|PRTE|PRRTE) (?:was unable to reliably start|does not know how to route)",
        _LAUNCH_REMEDY,
    ),
    _pattern("mpi-launch", r"(?:ORTE|PRTE|PRRTE) daemon has (?:unexpectedly )?failed ", _LAUNCH_REMEDY),
    _pattern(
        "mpi-launch",
        r"It looks like (?:MPI_INIT|orte_init|prte_init|opal_init|MPI_Init) failed for some reason",
        _LAUNCH_REMEDY,
    ),
    _pattern("mpi-launch", r"mpirun has detected an attempt to run as root", "start it as an ordinary user"),
    _pattern("mpi-launch", r"MPI_ABORT was invoked on rank |An error occurred in MPI_\w+", _LAUNCH_REMEDY),
    _pattern(
        "mpi-launch", r"are not included in the current allocation|unable to reach each other", _LAUNCH_REMEDY
    ),
    _pattern(
        "mpi-launch",
        r"\[proxy:\d+(?::\d+)?@(?P<host>[\w.-]+)\] .*\berror\b|HYD_\w+ .*: error ",
        _LAUNCH_REMEDY,
    ),
    _pattern(
        "killed",
        r"exited with non-zero status, thus causing|process(?:es)? returned\s+a non-zero exit code",
        "the program said no more than that; run it alone on one node",
        weak=True,
    ),
)


def scan(text: str, line: int, host: str | None = None) -> tuple[Problem, bool] | None:
    """Find the problem that a line tells of.

    Parameters: the cleaned line; its number, from 1; the host that its tag names, which
    counts where the line's own words name none.
    Returns: the problem, and whether it is weak evidence; ``None`` for an ordinary line.
    """
    for pattern in PATTERNS:
        match = pattern.regex.search(text)
        if match:
            named = match.groupdict().get("host") or host
            return Problem(pattern.kind, text.strip(), pattern.remedy, named, line), pattern.weak
    return None
