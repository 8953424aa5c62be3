"""What Hydra says, the launcher of MPICH and Intel MPI, and the libraries that it starts.

Sources: MPICH's ``src/pm/hydra`` (``HYDU_dump_prefix``: every line begins with program and host),
``mpiexec/pmiserv_cb.c`` and ``tools/bootstrap``; ``src/mpi/errhan``; Intel MPI's ``mpiexec.hydra`` differs in
words only.
"""

from ..pattern import texts
from .programs import EXECUTABLE, KILLED, TIME

_PROXY = "see whether that node can be logged in to and has this MPI: run bootstrap"
_OPTIONS = "correct mpirun's options"
_HOSTS = "write the hostfile again with bootstrap: HOST:SLOTS a line"
_INIT = (
    "read the lines below it: they name the transport or the host that failed; FI_LOG_LEVEL=info says more"
)

HYDRA = (
    *texts(
        "missing-executable",
        EXECUTABLE,
        r"(?:\[proxy:?[\d:]*@{name}\]{some})?execvp error on file \S+",
        r"\[mpiexec@\S+ …unable to get path to the \w+ executable",
    ),
    *texts("timeout", TIME, "APPLICATION TIMED OUT, TIMEOUT = "),
    *texts(
        "killed",
        KILLED,
        "KILLED BY SIGNAL: ",
        r"TERMINATED WITH THE EXIT STRING: {some}\(signal \d+\)",
        running=True,
    ),
    *texts("mpi-launch", _INIT, r"application called MPI_Abort\({some} - process {rank}"),
    *texts(
        "mpi-launch",
        _INIT,
        # HPE's build of MPICH says where.
        r"MPICH ERROR \[Rank {rank}\] (?:\[[^\]]*\] ){1,2}\[{name}\] - Abort\(\S+ {some}"
        r"Fatal error in (?:internal_|P?MPI_)\w+",
    ),
    *texts("mpi-launch", _INIT, r"Fatal error in (?:internal_|P?MPI_)\w+"),
    *texts(
        "mpi-launch", _PROXY, r"[Uu]nable to run \w*proxy on {host}", "unable to get host address for {host}"
    ),
    *texts(
        "mpi-launch",
        _OPTIONS,
        r"\[mpiexec@\S+ {some}(?:unrecognized argument|unable to parse user arguments)",
    ),
    *texts(
        "mpi-launch",
        _HOSTS,
        r"\[mpiexec@\S+ {some}(?:error parsing hostfile|unable to open host file|unexpected token)",
    ),
    *texts("mpi-launch", _PROXY, r"\[proxy:?[\d:]*@{name}\] {some}\b(?:error|unable to|cannot|failed)\b"),
    # A proxy that is gone: it never came, or it was lost with its host.
    *texts(
        "mpi-launch",
        _PROXY,
        r"assert \(!closed\) failed",
        in_midrun="killed",
    ),
)

CONSEQUENCES = (
    *texts(
        "mpi-launch",
        _PROXY,
        r"\[mpiexec@\S+ {some}downstream from host {host} (?:exited with|was killed by)",
        in_midrun="killed",
        strength="weak",
    ),
    *texts("killed", KILLED, "BAD TERMINATION OF ONE OF YOUR APPLICATION", strength="weak"),
    *texts(
        "mpi-launch",
        _PROXY,
        r"\[mpiexec@\S+ {some}\b(?:error|unable to|cannot|failed)\b",
        in_midrun="killed",
        strength="weak",
    ),
)
