"""The command lines of Slurm's own commands, and the scripts that run them on the login node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import join, quote

from clusterboot.folding import fold
from clusterboot.inventory.cluster import SlurmOptions


@dataclass(frozen=True)
class JobRequest:
    """One job: what it is called, which nodes it takes whole, and for how long at most."""

    name: str
    comment: str
    nodes: tuple[str, ...]
    minutes: int
    options: SlurmOptions


def allocate(request: JobRequest) -> tuple[str, ...]:
    """Write ``salloc``'s options. Source: salloc(1).

    A job of salloc's is never queued again by Slurm: only batch jobs are.
    """
    options = request.options
    asked = {
        "account": options.account,
        "qos": options.qos,
        "reservation": options.reservation,
        "constraint": options.constraint,
        "gpus-per-node": options.gpus_per_node,
    }
    return (
        "salloc",
        f"--job-name={request.name}",
        f"--comment={request.comment}",
        f"--partition={','.join(options.partitions)}",
        f"--nodes={len(request.nodes)}",
        f"--nodelist={fold(request.nodes)}",
        f"--time={request.minutes}",
        "--exclusive",
        "--mem=0",
        # A node that fails takes the others' answers with it otherwise.
        "--no-kill",
        "--kill-command=TERM",
        *(f"--{key}={value}" for key, value in asked.items() if value is not None),
        *options.args,
    )


def step(job_id: int, nodes: Sequence[str], *, labelled: bool) -> tuple[str, ...]:
    """Write ``srun``'s command of a shell on each of ``nodes``, inside a job. Source: srun(1)."""
    return (
        "srun",
        f"--jobid={job_id}",
        "--overlap",
        f"--nodes={len(nodes)}",
        f"--ntasks={len(nodes)}",
        "--ntasks-per-node=1",
        f"--nodelist={fold(nodes)}",
        "--mem=0",
        "--mpi=none",
        "--chdir=/",
        "--no-kill",
        "--kill-on-bad-exit=0",
        "--wait=0",
        *(("--label",) if labelled else ()),
        "/bin/sh",
        "-s",
    )


def hold_script(request: JobRequest, nonce: str) -> str:
    """Write the script that queues a job and holds it until its standard input closes.

    It prints ``NONCE granted JOB NODELIST`` once the nodes are there. The job's end is bound to standard
    input, so that it is the operator's own: waiting in the queue, a watcher ends salloc; afterwards
    the job's command sees it by itself.
    """
    command = "".join(
        (
            'kill "$2" 2>/dev/null; ',
            'printf "\\n%s granted %s %s\\n" "$1" "$SLURM_JOB_ID" "$SLURM_JOB_NODELIST"; ',
            "exec cat >/dev/null 2>&1",
        )
    )
    held = f'/bin/sh -c {quote(command)} clusterboot {quote(nonce)} "$watcher"'
    return "\n".join(
        (
            "{",
            "exec 3<&0 </dev/null",
            "salloc=",
            """trap '[ -z "$salloc" ] || kill "$salloc" 2>/dev/null' USR1""",
            "( exec >/dev/null 2>&1; cat <&3; while kill -USR1 $$; do sleep 1; done ) &",
            "watcher=$!",
            f"{join(allocate(request))} {held} <&3 &",
            "salloc=$!",
            "exec 3<&-",
            'while wait "$salloc"; code=$?; kill -0 "$salloc" 2>/dev/null; do :; done',
            'kill "$watcher" 2>/dev/null',
            'exit "$code"',
            "}\n",
        )
    )


def step_script(argv: Sequence[str], script: str) -> str:
    """Write the script that runs a step whose shells read ``script``, and then what comes after this one.

    The script is no argument, which others could read: a shell's own ``printf`` writes it.
    """
    return "\n".join(
        (
            "{",
            "exec 3<&0 </dev/null",
            # The reader of its first line ends it: standard input may stay open longer than the step.
            f"""( sh -c 'echo "$PPID"'; printf %s {quote(script)}; exec cat <&3 ) | {{""",
            "exec 3<&-",
            "read -r feeder",
            join(argv),
            "code=$?",
            'kill "$feeder" 2>/dev/null',
            'exit "$code"',
            "}",
            "exit $?",
            "}\n",
        )
    )


def node_script(nodes: Sequence[str], scripts: Sequence[str]) -> str:
    """Write what all shells of a step read, of which each runs its own node's script.

    Parameters: the nodes in the order of the step's tasks; their scripts, equal ones for many.
    A task that is on another node than it should be says nothing.
    """
    lines = [
        # A task has what the login node's session had in its environment.
        "unset SSH_CONNECTION SSH_CLIENT SSH_TTY",
        'cd -- "$HOME" 2>/dev/null',
        f'set -- {join(nodes)}; shift "$SLURM_PROCID"; [ "$1" = "$SLURMD_NODENAME" ] || exit 99; set --',
    ]
    if len(set(scripts)) == 1:
        return "\n".join((*lines, scripts[0]))
    lines.append("case $SLURMD_NODENAME in")
    for text in dict.fromkeys(scripts):
        whose = [node for node, script in zip(nodes, scripts, strict=True) if script == text]
        lines += [f"{'|'.join(map(quote, whose))})", text.rstrip("\n"), ";;"]
    return "\n".join((*lines, "esac")) + "\n"
