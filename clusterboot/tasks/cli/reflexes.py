"""What is said of an option that a command has not: what is meant by it elsewhere, or what is like it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

_RANKS = "--procs-per-node N sets the ranks of a node, one a GPU"
_FILE = "name the file with --cluster, or set CLUSTERBOOT_CLUSTER"
_LOGIN = "write it into the cluster file, or into ~/.ssh/config"
_NODES = "--hosts NODESET chooses nodes"

# By command, "" for all: options of nccl-tests, mpirun, srun, clush, pdsh, ssh and Ansible.
_MEANT: Mapping[str, Mapping[str, str]] = {
    "nccl-test": {
        "-g": _RANKS,
        "-t": _RANKS,
        "-np": _RANKS,
        "-N": _RANKS,
        "--gpus": _RANKS,
        "--ngpus": _RANKS,
        "--nthreads": _RANKS,
        "--ntasks-per-node": _RANKS,
        "-d": "--dtype TYPE chooses the type of the data",
        "--datatype": "--dtype TYPE chooses the type of the data",
        "-i": "sizes grow by a factor: -f FACTOR",
        "-T": "--time-limit SECONDS ends a run",
        "--timeout": "--time-limit SECONDS ends a run",
        "-x": "--env K=V sets a variable for every rank",
        "--mca": "--mpi-args '--mca NAME VALUE' hands words to mpirun",
        "--minbytes": "-b SIZE",
        "--maxbytes": "-e SIZE",
        "--stepfactor": "-f FACTOR",
        "--iters": "-n N",
        "--warmup_iters": "-w N",
        "--check": "-c 0|1",
    },
    "link-map": {
        "-x": "--env K=V sets a variable for every rank",
        "--mca": "--mpi-args '--mca NAME VALUE' hands words to mpirun",
        "--gpus": "--by gpu maps rank to rank",
    },
    "": {
        "-w": _NODES,
        "-H": _NODES,
        "--host": _NODES,
        "--nodelist": _NODES,
        "--nodes": _NODES,
        "--limit": _NODES,
        "-x": "--exclude NODESET leaves nodes out",
        "-i": _FILE,
        "--inventory": _FILE,
        "--hostfile": _FILE,
        "--config": _FILE,
        "-f": "--fanout N",
        "--forks": "--fanout N",
        "--parallel": "--fanout N",
        "-l": _LOGIN,
        "-u": _LOGIN,
        "-p": _LOGIN,
        "--user": _LOGIN,
        "--port": _LOGIN,
        "--key": _LOGIN,
        "-t": "--deadline SECONDS ends the command",
        "--timeout": "--deadline SECONDS ends the command",
        "-n": "--dry-run says what would change",
        "--check": "--dry-run says what would change",
        "-y": "nothing is asked but about unknown host keys: --accept-new",
        "--yes": "nothing is asked but about unknown host keys: --accept-new",
        "-o": "--output FILE",
    },
}


def hint(command: str, option: str, options: Collection[str], invokes: Collection[str]) -> str:
    """Say what to give in place of an option that a command has not.

    Parameters: the command; the option; those that it has; Invoke's own.
    """
    if not option.startswith("--") and option[2:].isdigit():
        option = option[:2]
    for meant in (_MEANT.get(command, {}).get(option), _MEANT[""].get(option)):
        # What is said to all commands is for those that have such an option.
        named = {word.strip(",") for word in (meant or "").split() if word.startswith("-")}
        if meant and named <= set(options):
            return meant
    like = difflib.get_close_matches(option, options, 1)
    if like:
        return f"did you mean {like[0]}?"
    if option in invokes:
        return f"it is Invoke's own: it stands before {command}"
    return f"see: clusterboot help {command}"
