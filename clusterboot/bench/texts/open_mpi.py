"""What Open MPI says when it cannot launch, cannot begin or is ended: its library and its launchers.

Sources, the files whose texts these are recognised by: Open MPI 4.1, ``orte/**/help-*.txt``,
``ompi/**/help-*.txt`` and ``opal/**/help-*.txt``; PRRTE 2 to 4, ``src/docs/show-help-files`` and
``src/**/help-*.txt`` (Open MPI 5's launcher); PMIx 4 to 6, ``src/**/help-*.txt``; the macros
``ORTE_ERROR_LOG``, ``PRTE_ERROR_LOG`` and ``PMIX_ERROR_LOG``. They wrap their lines at will,
differently in each version.
"""

import re

from clusterboot.bench.pattern import Pattern, texts
from clusterboot.bench.texts.programs import EXECUTABLE, KILLED

_TIME = "raise the limit, or find what stopped moving with a smaller run"
_SLOTS = "give every node its number of GPUs as slots, or start fewer ranks"
_LOST = "see whether that host is still up, and its kernel log and network at that time"
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
        _LOST,
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
        _TIME,
        "time limit for job (?:execution|launch) has been reached",
        "processes appear to have stalled",
        "request has timed out and will therefore fail",
        "but contact with the Slurm control daemon timed out",
    ),
    *texts("mpi-launch", _APPLICATION, "MPI_ABORT was invoked on rank {rank}"),
    *texts("mpi-launch", _INSTALLATION, r"(?:\[{name}:\d+\] )?\*\*\* An error occurred in P?MPI_Init"),
    *texts("mpi-launch", _APPLICATION, r"(?:\[{name}:\d+\] )?\*\*\* An error occurred in P?MPI_\w+"),
)

STARTS = (
    *texts(
        "missing-executable",
        EXECUTABLE,
        "unable to find the specified executable",
        "could not (?:find|access|execute|access or execute) an executable",
        'not able to find (?:an executable|the executable "\\w+") in',
        "specified executable could not be found",
        "command (?:was unable to find an|could not execute the) underlying prterun command",
        "specified fork agent was not found",
        'unable to locate a usable "srun" command',
        'tried to fork a new process via the "execve" system call but failed',
    ),
    *texts("missing-executable", "install ssh on the launch host", '"plm_[rs]sh_agent" was set to a path'),
    *texts(
        "missing-library", "install libz on that node", "ue to a missing libz library on the receiving node"
    ),
    *texts(
        "no-slots",
        _SLOTS,
        "not enough (?:slots|nodes|resources|CPUs|cpus) (?:available|on|in|are)",
        "No slots were found in the",
        "All nodes which are allocated for this job are already filled",
        "There are no (?:allocated resources for the application|available nodes allocated)",
        "No nodes are available for this job",
        "requested (?:more processes than|a conflicting number of processes|more cpus per process)",
        "insufficient number of CPUs was found",
        "found no available cpus on",
        "resulted in too many processes being placed on a node",
        "due to there being more processes on a node than available cpus",
        "unable to allocate enough resources",
        "exhausted its available ranks",
        "requested number of empty hosts was not available",
        "not enough node entries were given",
        "unable to launch it at this time due to required resources being busy",
        "unable to find an allocation for this job",
        "No nodes were found in the PBS_NODEFILE",
    ),
    *texts(
        "mpi-launch",
        _HOSTFILE,
        "(?:unable|not able) to open the (?:hostfile|rankfile)",
        "{daemon} detected a (?:bad parameter|parse error) in the (?:hostfile|rankfile)",
        "hostfile was provided that contains",
        "not included in the current allocation",
        "A relative host was (?:specified|improperly)",
        "contained a node …that is not in your allocation",
        "add hosts from a hostfile",
        "invalid (?:syntax|rank) {some}in (?:the rankfile|sequential hostfile)",
        "A rank is missing its location specification",
        "host was either not allocated or oversubscribed its slots",
        "A process could not be mapped",
        "didn't find any hosts in the map for this application",
    ),
    *texts("mpi-launch", "start it as an ordinary user", "{starter} has detected an attempt to run as root"),
    *texts(
        "mpi-launch",
        _OPTIONS,
        "{starter}: (?:Error: )?(?:[Uu]nknown|[Uu]nrecognized|[Ii]nvalid) option",
        "unrecognized (?:option|value|modifier|qualifier|directive|hwloc) was (?:included on the|given for)",
        "contains an unrecognized (?:modifier|qualifier)",
        "(?:directive|policy) is not recognized",
        "Conflicting (?:directives for|requests for timeout)",
        "two conflicting directives regarding",
        "multiple instances of an MCA param",
        "does not support multiple different",
        "No executable was specified on the",
        "could not find anything to do",
        "Unable to open the appfile",
        "one that failed to specify the number of processes",
        "but (?:failed to provide )?the number of processes to (?:start was omitted|be executed)",
        "negative number of processes to run",
        "invalid value was given for the number of processes per resource",
        "is not supported (?:as a default value|in combination with the)",
        "that requires a value, but (?:no value for it was given|the provided value is invalid)",
        "pattern that doesn't match the required syntax",
        "Both (?:a prefix|TCP interface include and exclude lists|static and dynamic port ranges)",
        "MCA framework parameters can only take a single negation",
        "requested stdin target is out of range",
        "may be a typo in the (?:option|command line)",
    ),
    *texts(
        "mpi-launch",
        _BINDING,
        "would (?:result in binding more|require binding processes to more)",
        "process binding is not supported on the host",
        "tried to bind (?:a new process|memory for a new process), but something went wrong",
        "tried to bind memory for a new process but something went wrong",
        "an appropriate target could not be found",
        "at least one node does NOT support binding (?:processes|memory)",
        "No (?:bindable )?objects of the specified type were",
        "attempt to assign hardware locations to processes on a compute node failed",
        "request to bind processes could not be completed",
        "memory binding policy requires that we abort",
    ),
    *texts(
        "mpi-launch",
        _FOLDER,
        "could not (?:change to|find) the specified working directory",
        "unable to change to the requested working directory",
        "unable to create the desired directory",
        "unable to set a directory to the desired mode",
        "on the list of prohibited locations",
        "unable to obtain the username in order to create a path",
        "restriction for Unix's socket's path-length",
    ),
    *texts(
        "mpi-launch",
        _ROUTE,
        "{daemon} does not know how to route",
        "process or daemon was unable to complete a TCP connection",
        "unable to establish a communication connection to the",
        "No network interfaces were found for out-of-band",
        "specified network is not parseable",
        "None of the TCP networks specified",
        "resulted in no networks being available",
        "No sockets were able to be opened on the available",
        "connection was refused due to a failure to authenticate",
        "send a message to a process whose address is unknown",
        "unable to bind its listening socket",
        "no (?:non-loopback|loopback|available) interfaces were found",
    ),
    *texts(
        "mpi-launch",
        _VERSIONS,
        "detected a mismatch in versions between two processes",
        "does not currently support multi-endian",
        "was detected to have a different architecture",
    ),
    *texts("mpi-launch", _LIMIT, "system limit exceeded on number of (?:pipes|network connections)"),
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
        "A daemon has no recorded node",
        "was detected to be missing a daemon",
        "process starter …(?:failed to|cannot spawn)",
        "srun returned non-zero exit status",
        "cmd line to launch remote daemons is too long",
        "could not determine the type of remote shell",
        "No available launching agents were found",
        "unable to determine the status of the daemons",
        "unable to start the specified application",
        "unable to launch the specified application(?! as it could not)",
        "Your job failed to map",
        r"The user \(\d+\) is unknown to the system",
    ),
    *texts(
        "mpi-launch",
        _INSTALLATION,
        r"It looks like (?:\S+ ){1,3}failed for some reason",
        r"It looks like \S*_(?:init|INIT|Init)\S* failed",
        "MPI_INIT has failed because",
        "PMIx_Init failed for the following reason",
        "An internal error has occurred (?:in|during the startup of) {daemon}",
        "Open RTE was unable to initialize properly",
        "PMIx server's listener thread failed to start",
        "PMIx server was unable to (?:store|setup)",
        r"The call to pmix_init_server\(\) failed",
        "said that they could be used for a new communicator",
        "does not match the ID registered by the host runtime",
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

# These stand beside good tables as well.
REMARKS = (
    *texts(
        "mpi-launch", _OPTIONS, "An invalid value was supplied for an (?:MCA|enum) variable", strength="faint"
    ),
    *texts(
        "mpi-launch",
        _FOLDER,
        "unable to (?:setup a rendezvous point|create (?:the rendezvous|a shared memory backing) file)",
        strength="faint",
    ),
    *texts(
        "mpi-launch",
        _INSTALLATION,
        "unable to find any usable plugins for the",
        "No components were able to be opened in the",
        "A library call unexpectedly failed",
        strength="faint",
    ),
)

_READ = "read the whole text between the rules; mpirun --help and the nodes' logs say more"
# What all of these texts have in common, for those that are written later.
GENERAL = texts(
    "mpi-launch",
    _READ,
    "^{starter} was unable to ",
    "^{daemon} was unable to ",
    "^{daemon} failed to ",
    "job will now abort",
    "This is an? (?:fatal|unrecoverable|terminal) error",
    "(?:job|application) cannot be (?:executed|launched)",
    "No processes were launched",
    strength="faint",
)

_SAID_NO_MORE = "the program said no more than that; run it alone on that node"
CONSEQUENCES = (
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
        _SAID_NO_MORE,
        r"exited due to process rank {rank} with PID \d+ on node {host} (?:exiting|calling)",
        strength="weak",
        running=True,
    ),
)

# A text between two rules, as Open MPI prints all of these, that none of the above is: it speaks of the
# runtime, and is no remark on a run that goes on.
FRAMED = Pattern(
    "mpi-launch",
    "",
    re.compile(
        r"^\f\n+(?=[^\f]{0,2000}\b(?:O?MPI|PRT?E|PRRTE|O?RTE|PMIx?\d?|MCA|BTL|OFI|UCX|PSM2?|mpirun|prterun|"
        r"process(?:es)?|procs|daemons?|application|job|hostfile|allocation|slots|nodes?|hosts?|mapping|"
        r"binding|CPUs?|"
        r"library|hwloc|Slurm|SLURM|PBS|LSF|CUDA|address)\b)"
        r"(?![^\f]{0,2000}(?:WARN|Warn|warning|continue|[Dd]eprecated|[Bb]y[ \n]default|"
        r"[Uu]se[ \n]default|[Ll]imiting[ \n]to|"
        r"(?:is|be)[ \n](?:ignored|disabled|used|deactivated)|been[ \n]ignored|performance|"
        r"[Ff]all(?:ing)?[ \n]back|silence|"
        r"[Dd]eactivating|Setting[ \n]back|OpenFabrics|not[ \n]freed|terminated[ \n]normally|\(BYSLOT\)))"
        r"(?P<said>[^\f]{20,2000})\f"
    ),
    _READ,
    "faint",
)
