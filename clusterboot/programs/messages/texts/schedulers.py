"""What Slurm, PBS, LSF, HPE's PALS and Kubernetes say when a job cannot start or is ended.

Sources: Slurm's ``src/srun``, ``src/api/step_launch.c``, ``src/slurmd/slurmstepd`` and
``src/plugins/mpi/pmix`` (``pmixp_debug.h`` has the form of its lines, before and since 19.05);
pyxis; for PALS, whose source is not public, the known issues that ALCF publishes of Polaris and
Aurora.
"""

from ..pattern import texts
from .programs import EXECUTABLE, KILLED, LOST, SAID_NO_MORE, TIME

_SLOTS = "ask for as many nodes, tasks and GPUs as the allocation has"
_STEP = "see slurmd's log on the nodes that are named, and whether sinfo shows them as idle or down"
_PMIX = "see whether all nodes of the step reach each other, and whether they have one version of PMIx"
_PALS = "see palsd's log on that node; free what it names (PMI ports, CXI resources, GPUs), or leave it out"
_CONTAINER = "check the driver there and the container toolkit: nvidia-smi, nvidia-container-cli info"
_POD = "kubectl describe the pod, and see the events of its namespace"

SCHEDULERS = (
    *texts("missing-executable", EXECUTABLE, r"slurmstepd: error: execve\(\): "),
    *texts(
        "timeout",
        TIME,
        "DUE TO TIME LIMIT",
        "job killed: walltime",
        "TERM_RUNLIMIT",
        r"\bDeadlineExceeded\b",
        "^timeout: sending signal",
    ),
    *texts(
        "no-slots",
        _SLOTS,
        "srun: error: Unable to {some}(?:More processors requested|Requested node configuration)",
        "More processors requested than permitted",
        "Requested node configuration is not available",
        "Only allocated \\d+ nodes asked for \\d+",
    ),
    *texts(
        "killed",
        KILLED,
        r"srun: error: {host}: tasks? [\d,-]+: (?:Killed|Terminated|Segm|Bus|Abort|Out Of|Hangup|"
        r"(?:Exited with )?exit code (?:13[0-9]|14[0-3])\b)",
        running=True,
    ),
    *texts(
        "killed",
        LOST,
        "srun: error: Node failure on {host}",
        r"CANCELLED AT (?:\S+ )?DUE TO (?:NODE FAIL|PREEMPT|JOB REQUEUE)",
        r"srun: error: Job allocation \d+ has been revoked",
        "srun: error: …(?:Aborting, |aborting, )(?:io error|step missing)",
        r"launch RPC on {host} failed",
    ),
    *texts(
        "killed", KILLED, "TERM_MEMLIMIT", "job killed: v?mem", "slurmstepd: error: Exceeded job memory limit"
    ),
    *texts(
        "mpi-launch",
        _STEP,
        r"Task launch for \S+ failed on node {host}: ",
        "srun: error: timeout waiting for task launch",
        "srun: error: Timed out waiting for job step to ",
        "srun: error: Nodes {host} are still not ready",
        "slurmstepd: error: Failed to (?:invoke|set|send|look)",
        r"slurmstepd: error: \S*: IO setup failed",
    ),
    *texts(
        "mpi-launch",
        "ask for what the partition has: sinfo, scontrol show partition, sacctmgr show assoc",
        "srun: error: Unable to (?:create step|confirm allocation|allocate)",
        "srun: fatal: ",
        "Job submit/allocate failed",
        "Batch job submission failed",
        "srun: error: (?:Invalid node list|No nodes in allocation|Requested nodelist|Hostlist is empty)",
    ),
    *texts(
        "mpi-launch",
        "choose one of what srun --mpi=list shows",
        "srun: error: …(?:Invalid MPI type|Couldn't find the specified plugin name for mpi|cannot "
        "find mpi plugin)",
        r"error: Couldn't find the specified plugin name for mpi/\w+",
    ),
    *texts("cuda-error", _CONTAINER, "nvidia-container-cli: {some}error"),
    *texts("mpi-launch", _CONTAINER, r"\bError response from daemon: "),
    *texts("mpi-launch", "see whether the image can be had", "error: pyxis: …(?:failed|couldn't)"),
    *texts(
        "mpi-launch",
        _PMIX,
        r"\berror: mpi/pmix\w*: \w+: {name} \[\d+\]: \S+:\d+: (?!Failed to remove|Error handler)",
        r"slurmstepd: error: {name} \[\d+\] pmixp_\S+ …mpi/pmix: ERROR: (?!Failed to remove|Error handler)",
        "slurmstepd: error: {some}mpi/pmix: ERROR: (?!Failed to remove|Error handler)",
        r"slurmstepd: error: (?:\S+ )?(?:Failed mpi_g_slurmstepd_prefork|mpi/pmix)",
        strength="faint",
    ),
    *texts(
        "mpi-launch",
        _PALS,
        r"^(?:\S+: )?(?:launch|start|setup|fork|rpc) failed on {host}: ",
    ),
    *texts("mpi-launch", _PALS, r"^(?:\S+: )?[a-z]+ failed on {host}: ", strength="faint"),
    *texts("killed", KILLED, r"^(?:{host}: )?rank {rank} (?:died from|exited due to) signal", running=True),
    *texts("mpi-launch", _POD, "error: unable to upgrade connection", r"Error from server \("),
)

CONSEQUENCES = (
    # The line that names the node stands before it.
    *texts("mpi-launch", _STEP, "srun: error: Application launch (?:add )?failed", strength="weak"),
    *texts(
        "mpi-launch",
        "give that node's name an address on all others, in slurm.conf (NodeAddr), DNS or /etc/hosts",
        r"srun: error: \w+: getaddrinfo\({host}:\d+\) failed",
        "srun: error: \\w+: can't find address for host {host},",
        strength="weak",
    ),
    *texts(
        "killed",
        SAID_NO_MORE,
        r"srun: error: {host}: tasks? [\d,-]+: Exited with exit code",
        r"^(?:{host}: )?rank {rank} exited with code",
        strength="weak",
    ),
    *texts(
        "killed",
        KILLED,
        r"slurmstepd: error: \*\*\* \w+ \S+ ON \S+ (?:CANCELLED AT|FAILED)",
        "srun: Force Terminated job",
        strength="weak",
    ),
)
