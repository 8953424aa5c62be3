"""The words in which launches fail: loaders, logins, launchers, kills.

Warnings that stand before many a good table (OpenFabrics device initialisation, UCX, host keys
added) are left alone.
Sources: the help texts of Open MPI 4 (``orte/mca/*/help-*.txt``) and PRRTE
(``src/mca/*/help-*.txt``); Hydra (``pm/hydra``); glibc's ld.so; OpenSSH; srun and slurmstepd; the
kernel's OOM killer.
"""

from __future__ import annotations

from clusterboot.bench.pattern import HOST, KILLED, pattern

_DAEMON = r"(?:ORTE|PRTE|PRRTE|Open RTE)"
_STARTER = r"(?:mpirun|mpiexec|orterun|prterun|prun|srun)"
_LIBRARY = "install it on every node, or name its folder in LD_LIBRARY_PATH of the cluster file's env"
_EXECUTABLE = "install it at the same path on every node, or set clusterboot.mpi.prefix"
_SSH = "run bootstrap: it proves every login that the launch needs and names the failing pair"
_LOST = "see whether that host is still up, and its kernel log and network at that time"
_LAUNCH = "see the lines around it; run bootstrap to prove the launch tree"
_PROGRAM = (
    r"(?:\b(?:orted|prted|mpirun|mpiexec|prterun|srun)|hydra_\w+_proxy|\b\w+_perf\w*|\bcollbench[\w.-]*)"
)

LOADER = (
    pattern("missing-library", "shared libraries", r"error while loading shared libraries: ", _LIBRARY),
    pattern(
        "missing-library",
        "not found",
        r"version [`'\u2018]?[\w.]+['\u2019]? not found \(required by",
        _LIBRARY,
    ),
    pattern("missing-library", "symbol lookup", r"symbol lookup error: ", _LIBRARY),
    pattern(
        "missing-executable",
        "executable",
        r"unable to find the specified executable|could not (?:find an|access or execute an) executable"
        r"|executable file not found in|^or execute an executable:",
        _EXECUTABLE,
    ),
    pattern(
        "missing-executable", "not found", rf"{_PROGRAM}['\"\u2019]?: (?:[Cc]ommand )?not found", _EXECUTABLE
    ),
    pattern("missing-executable", "command not found: ", rf"command not found: \S*{_PROGRAM}", _EXECUTABLE),
    pattern(
        "missing-executable",
        "No such file",
        rf"{_PROGRAM}['\"\u2019]?: No such file or directory",
        _EXECUTABLE,
    ),
    pattern("missing-executable", "denied", rf"\w*sh: .*{_PROGRAM}: Permission denied", _EXECUTABLE),
    pattern(
        "missing-executable", "Exec format", rf"{_PROGRAM}['\"\u2019]?: .*Exec format error", _EXECUTABLE
    ),
    pattern(
        "missing-executable",
        "execvp error",
        r"(?:\[proxy:\d+(?::\d+)?@(?P<host>[\w.-]+)\].*)?execvp error on file \S+",
        _EXECUTABLE,
    ),
    pattern("missing-executable", "execve()", r"slurmstepd: error: execve\(\): ", _EXECUTABLE),
    pattern(
        "missing-executable",
        "agent",
        r'"plm_[rs]sh_agent" was set to a path',
        "install ssh on the launch host",
    ),
)

LOGIN = (
    pattern(
        "ssh", "Permission denied (", r"(?:^|[\s@])(?P<host>[A-Za-z0-9][\w.-]*): Permission denied \(", _SSH
    ),
    pattern(
        "ssh", "Permission denied (", r"Permission denied \((?:publickey|password|gssapi|keyboard|host)", _SSH
    ),
    pattern("ssh", "erification failed", r"Host key verification failed", _SSH),
    pattern("ssh", "REMOTE HOST", r"REMOTE HOST IDENTIFICATION HAS CHANGED", _SSH),
    pattern(
        "ssh",
        "strict checking",
        rf"host key is known for \[?{HOST}\]?(?::\d+)? and you have requested strict",
        _SSH,
    ),
    pattern("ssh", "ssh: connect", rf"ssh: connect to host {HOST} port \d+: ", _SSH),
    pattern("ssh", "ssh: Could not", rf"ssh: Could not resolve hostname {HOST}:", _SSH),
    pattern("ssh", "exchange_identification", r"(?:kex|ssh)_exchange_identification: ", _SSH),
    pattern(
        "ssh", "Too many authentication", rf"(?:from {HOST} port.*)?Too many authentication failures", _SSH
    ),
    pattern("ssh", "PRIVATE KEY FILE", r"UNPROTECTED PRIVATE KEY FILE", _SSH),
    pattern("ssh", "Connection ", rf"Connection (?:closed|reset) by {HOST} port", _SSH, in_midrun="killed"),
    pattern("ssh", "Connection to", rf"Connection to {HOST} closed by remote host", _SSH, in_midrun="killed"),
    pattern("ssh", "not responding", rf"Timeout, server {HOST} not responding", _SSH, in_midrun="killed"),
    pattern("ssh", "send disconnect", r"client_loop: send disconnect: ", _SSH, in_midrun="killed"),
)

KILLS = (
    pattern("killed", "lost communication", rf"{_DAEMON} has lost communication with a remote daemon", _LOST),
    pattern(
        "killed",
        "exited on signal",
        r"noticed that process rank (?P<rank>\d+) with PID \d+ on node (?P<host>[\w.-]+) exited on signal",
        KILLED,
        running=True,
    ),
    pattern(
        "killed",
        "srun: error: ",
        rf"srun: error: {HOST}: tasks? [\d,-]+: (?:Killed|Terminated|Segm|Bus|Abort|Out Of|Hangup|"
        r"(?:Exited with )?exit code (?:13[0-9]|14[0-3])\b)",
        KILLED,
        running=True,
    ),
    pattern("killed", "Node failure", rf"srun: error: Node failure on {HOST}", _LOST),
    pattern("killed", "CANCELLED", r"CANCELLED AT \S+ DUE TO (?:NODE FAIL|PREEMPT|JOB REQUEUE)", _LOST),
    pattern("killed", "SIGNAL", r"KILLED BY SIGNAL: ", KILLED, running=True),
    pattern(
        "killed", "EXIT STRING", r"TERMINATED WITH THE EXIT STRING: .*\(signal \d+\)", KILLED, running=True
    ),
    pattern("killed", "oom", r"oom-kill|oom_kill event", KILLED),
    pattern(
        "killed", "ut of memory", r"Out of memory: Kill(?:ed)? process|cgroup out of memory: Kill", KILLED
    ),
    pattern("killed", "TERM_MEMLIMIT", r"TERM_MEMLIMIT", KILLED),
    pattern("killed", "job killed: ", r"job killed: v?mem", KILLED),
    pattern("killed", "OOMKilled", r"\bOOMKilled\b", KILLED),
    pattern("killed", "exit code 137", r"terminated with exit code 137", KILLED),
    pattern(
        "killed",
        "received signal",
        rf"^\[{HOST}:\d+(?::\d+)?(?::\d+:\d+)?\] (?:\*\*\* Process received signal|Caught signal \d+)",
        KILLED,
        running=True,
    ),
    pattern(
        "killed",
        "Caught signal",
        rf"\[{HOST}:\d+(?::\d+)*\s*:?\d*\] Caught signal \d+ \(",
        KILLED,
        running=True,
    ),
    *(
        pattern("killed", word, rf"^\S*{word}(?: +\(core dumped\))?$|: line \d+: +\d+ {word} ", KILLED)
        for word in ("Segmentation fault", "Bus error", "Aborted", "Killed", "Terminated")
    ),
)

STARTS = (
    pattern("mpi-launch", "unable to reliably", rf"{_DAEMON} was unable to reliably start", _LAUNCH),
    pattern("mpi-launch", "reliably start", r"was unable to reliably start one or more daemons", _LAUNCH),
    pattern("mpi-launch", "how to route", rf"{_DAEMON} does not know how to route", _LAUNCH),
    pattern("mpi-launch", "daemon has", rf"{_DAEMON} daemon has (?:unexpectedly )?failed ", _LAUNCH),
    pattern("mpi-launch", "died unexpectedly", r"A daemon \(pid \d+\) died unexpectedly", _LAUNCH),
    pattern(
        "mpi-launch",
        "It looks like",
        r"It looks like [\"']?(?:MPI_INIT|orte_init|prte_init|opal_init|MPI_Init|PMIx_Init)\S* failed",
        _LAUNCH,
    ),
    pattern(
        "mpi-launch",
        "run as root",
        rf"{_STARTER} has detected an attempt to run as root",
        "start it as an ordinary user",
    ),
    pattern(
        "mpi-launch",
        "An error occurred",
        rf"(?:\[{HOST}:\d+\] )?\*\*\* An error occurred in (?:MPI|PMPI)_\w+",
        _LAUNCH,
    ),
    pattern("mpi-launch", "MPI_ABORT", r"MPI_ABORT was invoked on rank (?P<rank>\d+)", _LAUNCH),
    pattern("mpi-launch", "MPI_Abort(", r"application called MPI_Abort\(.* - process (?P<rank>\d+)", _LAUNCH),
    pattern("mpi-launch", "Fatal error in", r"Fatal error in (?:internal_|P?MPI_)\w+", _LAUNCH),
    pattern("mpi-launch", "current allocation", r"are not included in the current allocation", _LAUNCH),
    pattern("mpi-launch", "reach each other", r"unable to reach each other", _LAUNCH),
    pattern("mpi-launch", "OFI MTL is aborting", r"OFI MTL is aborting the MPI job", _LAUNCH),
    pattern(
        "mpi-launch",
        "direct launched",
        r'been direct launched using "srun"',
        "build Open MPI with Slurm's PMI",
    ),
    pattern("mpi-launch", "launch", rf"Task launch for \S+ failed on node {HOST}:", _LAUNCH),
    pattern("mpi-launch", "waiting for task", r"srun: error: timeout waiting for task launch", _LAUNCH),
    pattern(
        "mpi-launch",
        "Unable to ",
        r"srun: error: Unable to (?:create step|confirm allocation|allocate)",
        _LAUNCH,
    ),
    pattern(
        "mpi-launch",
        "the hostfile",
        r"unable to open the hostfile|was not able to open the hostfile",
        _LAUNCH,
    ),
    pattern(
        "mpi-launch", "working directory", r"could not change to the specified working directory", _LAUNCH
    ),
    pattern(
        "mpi-launch", "nknown option", rf"{_STARTER}: Error: [Uu]nknown option", "correct mpirun's options"
    ),
    pattern(
        "mpi-launch",
        "unrecognized option was",
        r"unrecognized option was included on the",
        "correct mpirun's options",
    ),
    pattern("mpi-launch", "binding more", r"would result in binding more", "bind with --bind-to none"),
    pattern("mpi-launch", "unable to run", rf"unable to run \w*proxy on {HOST}", _LAUNCH),
    pattern("mpi-launch", "launch failed", r"srun: error: Application launch failed", _LAUNCH),
    pattern("mpi-launch", "ubmi", r"Job submit/allocate failed|Batch job submission failed", _LAUNCH),
    pattern(
        "mpi-launch", "pyxis: ", r"error: pyxis: .*(?:failed|couldn't)", "see whether the image can be had"
    ),
    pattern("mpi-launch", "upgrade connection", r"error: unable to upgrade connection", _LAUNCH),
    pattern("mpi-launch", "Error from server", r"Error from server \(", _LAUNCH),
    pattern("mpi-launch", "[proxy:", r"\[proxy:\d+(?::\d+)?@(?P<host>[\w.-]+)\] .*\berror\b", _LAUNCH),
    # A proxy that is gone: it never came, or it was lost with its host.
    pattern("mpi-launch", "assert (!closed)", r"assert \(!closed\) failed", _LAUNCH, in_midrun="killed"),
    pattern("mpi-launch", "HYD", r"HYD\w+ .*: .*\berror\b", _LAUNCH, in_midrun="killed"),
)
