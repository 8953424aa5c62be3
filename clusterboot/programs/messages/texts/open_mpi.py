"""What Open MPI says when it cannot launch, cannot begin or is ended: its library and its launchers.

Sources, the files whose texts these are recognised by: Open MPI 4.1, ``orte/**/help-*.txt``,
``ompi/**/help-*.txt`` and ``opal/**/help-*.txt``; PRRTE 2 to 4, ``src/docs/show-help-files`` and
``src/**/help-*.txt`` (Open MPI 5's launcher); PMIx 4 to 6, ``src/**/help-*.txt``; the macros
``ORTE_ERROR_LOG``, ``PRTE_ERROR_LOG`` and ``PMIX_ERROR_LOG``. They wrap their lines at will,
differently in each version.
"""

import re

from ...records import ProblemKind
from ..pattern import Pattern, texts
from ..where import over_lines
from .programs import EXECUTABLE, KILLED, LOST, SAID_NO_MORE, TIME
from .transports import CUDA, FABRIC, MEMLOCK

_SLOTS = "give every node its number of GPUs as slots, or start fewer ranks"
_DAEMONS = "see the lines around it; run bootstrap to prove the launch tree"
_ROUTE = (
    "choose a network that all nodes share (oob_tcp_if_include), and see whether a firewall lies between them"
)
_OPTIONS = "correct mpirun's options"
_HOSTFILE = "write the hostfile again with bootstrap: HOST slots=N a line, of hosts that the allocation has"
_BINDING = "bind with --bind-to none"
_FOLDER = (
    "name a short, writable folder that every node has in TMPDIR, and a working directory that "
    "it has with --wdir"
)
_VERSIONS = "install one version of Open MPI at one path on all nodes, or set clusterboot.mpi.prefix"
_INSTALLATION = (
    "see that Open MPI, PRRTE and PMIx are complete there and of one build; OPAL_PREFIX may point elsewhere"
)
_LIMIT = "raise the limits on open files and processes (ulimit -n, -u) on that node"
_APPLICATION = "see the lines of the ranks before it: the program itself gave up"

ENDS = (
    *texts(
        "killed",
        LOST,
        "{daemon} has lost communication with a remote daemon",
        "A critical communication path was lost to:",
        "failed to receive scheduled heartbeat communications",
        "has detected that a required daemon terminated during execution",
        "daemons could not be ordered to (?:exit|kill their local processes)",
    ),
    *texts(
        "killed",
        KILLED,
        r"noticed that process rank {rank}(?: with PID \d+)?(?: on node {host})? exited on signal",
        "noticed that the job aborted",
        "A process exceeded memory limits",
        "have exceeded a specified sensor limit",
        running=True,
    ),
    *texts(
        "timeout",
        TIME,
        "time limit for job (?:execution|launch) has been reached",
        "processes appear to have stalled",
        "request has timed out and will therefore fail",
        "but contact with the Slurm control daemon timed out",
    ),
    *texts("mpi-launch", _APPLICATION, "MPI_ABORT was invoked on rank {rank}"),
)

STARTS = (
    *texts(
        "missing-executable",
        EXECUTABLE,
        "unable to find the specified executable",
        "could not (?:find|access|execute|access or execute) an executable",
        'not able to find (?:an executable|the executable "\\w+") in',
        "command (?:was unable to find an|could not execute the) underlying prterun command",
        'unable to locate a usable "srun" command',
        'tried to fork a new process via the "execve" system call but failed',
    ),
    *texts("missing-executable", "install ssh on the launch host", '"plm_[rs]sh_agent" was set to a path'),
    *texts(
        "no-slots",
        _SLOTS,
        "not enough (?:slots|nodes|resources|CPUs|cpus) (?:available|on|in|are)",
        "There are no (?:allocated resources for the application|available nodes allocated)",
        "requested (?:more processes than|a conflicting number of processes|more cpus per process)",
    ),
    *texts(
        "mpi-launch",
        _HOSTFILE,
        "(?:unable|not able) to open the (?:hostfile|rankfile)",
        "{daemon} detected a (?:bad parameter|parse error) in the (?:hostfile|rankfile)",
        "hostfile was provided that contains",
        "not included in the current allocation",
    ),
    *texts("mpi-launch", "start it as an ordinary user", "{starter} has detected an attempt to run as root"),
    *texts(
        "mpi-launch",
        _OPTIONS,
        "{starter}: (?:Error: )?(?:[Uu]nknown|[Uu]nrecognized|[Ii]nvalid) option",
    ),
    *texts(
        "mpi-launch",
        _ROUTE,
        "{daemon} does not know how to route",
        "process or daemon was unable to complete a TCP connection",
    ),
    *texts(
        "mpi-launch",
        "build Open MPI with Slurm's PMI",
        'been direct launched using "(?:srun|aprun)"',
        "Open MPI requires access to a local PMIx server",
    ),
    *texts(
        "mpi-launch",
        _DAEMONS,
        "unable to reliably start one or more daemons",
        "{daemon} daemon has (?:unexpectedly )?failed ",
        r"A daemon (?:\(pid \d+\) )?died unexpectedly",
        "A daemon failed to report back after being spawned",
        "process starter …(?:failed to|cannot spawn)",
        "srun returned non-zero exit status",
    ),
    *texts(
        "mpi-launch",
        _INSTALLATION,
        r"It looks like (?:\S+ ){1,3}failed for some reason",
        r"It looks like \S*_(?:init|INIT|Init)\S* failed",
    ),
    *texts(
        "mpi-launch",
        _DAEMONS,
        "{speaker}(?:ORTE_ERROR_LOG|PRRTE ERROR|PRTE ERROR|PMIX ERROR|PMIX_ERROR_LOG|OPAL ERROR): "
        "{some}in file",
        r"{speaker}\[\[\d+,\d+\],\d+\] \w*tcp_\w+: {some}failed: ",
        strength="faint",
    ),
)

_READ = "read the whole text between the rules; mpirun --help and the nodes' logs say more"
_SAID = ("was unable", "failed to ", "could not ", "has detected", "does not ")
# How many of these texts begin, for those that are not known and have lost their rules.
GENERAL = texts(
    "mpi-launch",
    _READ,
    *(f"^{who} {said}" for who in ("{starter}", "{daemon}") for said in _SAID),
    "^Your job has requested ",
    "^There are no ",
    *(f"^No {what}" for what in ("slots ", "nodes ", "executable ", "network interfaces ")),
    "^An internal error has occurred",
    r"^\w+_(?i:init) {some}failed",
    "job will now abort",
    "This is an? (?:fatal|unrecoverable|terminal) error",
    "(?:job|application) cannot be (?:executed|launched)",
    strength="faint",
)

CONSEQUENCES = (
    *texts(
        "mpi-launch",
        _INSTALLATION,
        r"(?:\[{name}:\d+\] )?\*\*\* An error occurred in P?MPI_Init",
        strength="weak",
    ),
    *texts(
        "mpi-launch",
        _APPLICATION,
        r"(?:\[{name}:\d+\] )?\*\*\* An error occurred in P?MPI_\w+",
        strength="weak",
    ),
    *texts(
        "killed",
        "the program said no more than that; run it alone on one node",
        "exited with non-zero status, thus causing",
        "process(?:es)? returned a non-zero exit code",
        'exiting without calling "finalize", but has no info',
        strength="weak",
        running=True,
    ),
    *texts(
        "killed",
        SAID_NO_MORE,
        r"exited due to process rank {rank} with PID \d+ on node {host} (?:exiting|calling)",
        strength="weak",
        running=True,
    ),
)


def _families(*rows: tuple[ProblemKind, str, str]) -> tuple[Pattern, ...]:
    """Write families: a kind, a remedy, and the words of which one is in the beginning of such a message."""
    return tuple(
        Pattern(kind, "", re.compile(over_lines(words)), remedy, "faint") for kind, remedy, words in rows
    )


# What a message between two rules is about that none of the above is: the first that fits.
FAMILIES = _families(
    ("missing-library", "install libz on all nodes, or build Open MPI without it", r"decompressed"),
    ("timeout", TIME, r"[Tt]imed out|time limit|not changing"),
    ("killed", KILLED, r"exceeded (?:\w+ ){,6}memory|memory limit"),
    ("cuda-error", CUDA, r"call to (?:cu[A-Z]\w+|allocate memory within the CUDA)"),
    ("missing-executable", EXECUTABLE, r"executable (?:\S+ ){,9}could not be found|fork agent"),
    (
        "no-slots",
        _SLOTS,
        r"[Nn]ot enough(?! space)|[Nn]o (?:slots|nodes)"
        r"|(?<!or )(?<!ing )(?<!to )[Mm]ore (?:processes|cpus)\b"
        r"|too many proc|oversubscribed its|allocat(?:ed|e enough) resources|already filled|empty hosts"
        r"|allocation for this job|available ranks|no available cpus|resources being busy"
        r"|insufficient number",
    ),
    ("mpi-launch", MEMLOCK, r"lock(?:ed)? memory|memlock|queue pair|register some memory"),
    (
        "mpi-launch",
        FABRIC,
        r"OFI|[Ll]ibfabric|PSM2?\b|OpenFabrics|openib|RDMA|usNIC|usnic|UCX|NICs?\b|Endpoint|iWARP|transport",
    ),
    ("mpi-launch", CUDA, r"CUDA|GPU|accelerator"),
    (
        "mpi-launch",
        _HOSTFILE,
        r"host ?file|[Rr]ankfile|sequence file|allocation|-host\b|relative host|host was",
    ),
    ("mpi-launch", _VERSIONS, r"\bversion|architecture|endian|configured without|not built with"),
    (
        "mpi-launch",
        _BINDING,
        r"\b[Bb]ind(?:ing|ings)?\b|\bbound\b|affinity|[Cc]pu ?(?:set|list)|topology|objects?\b",
    ),
    ("mpi-launch", _LIMIT, r"system limit|\bpipe\b|descriptor"),
    ("mpi-launch", _FOLDER, r"director(?:y|ies)|session|shared.memory|path\b"),
    (
        "mpi-launch",
        _ROUTE,
        r"\bTCP\b|out-of-band|\bnetwork|interfaces?\b|[Ss]ocket|[Cc]onnect(?:ion)?\b|IP address|IPv4|reach",
    ),
    (
        "mpi-launch",
        _OPTIONS,
        r"[Oo]ptions?\b|[Dd]irectives?\b|[Mm]odifiers?\b|[Qq]ualifiers?\b|MCA (?:param|var)|command line"
        r"|cmd line|polic(?:y|ies)|[Rr]equest\b|specified|specification|parameter|value (?:was|provided)",
    ),
    ("mpi-launch", _DAEMONS, r"\bdaemons?\b|process starter|launch"),
    ("mpi-launch", _INSTALLATION, r"component|framework|plugin|initiali[sz]|internal|\w_init\b|[Ii]nit\b"),
    ("mpi-launch", _READ, r"\S"),
)
