"""The help: what each command is for, its options in groups with what they take, and examples."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from invoke.collection import Collection
from invoke.parser.argument import Argument

from .plain_words import CommandTask

# Where an option is listed, and what its value is; one meaning a name in all commands.
GROUPS: Mapping[str, Mapping[str, str]] = {
    "What is run": {
        "collective": "NAMES",
        "backend": "PROGRAM",
        "script": "FILE",
        "share-gpu": "",
        "by": "WHAT",
        "mode": "MODE",
        "keys": "MODE",
        "verify": "LOGINS",
        "encrypt-keys": "",
        "log": "FILE",
        "expect": "SHA256",
        "nodes": "N",
        "rate": "RATE",
        "shared-home": "",
        "user": "NAME",
        "slurm": "",
        "gpus": "N",
        "name": "NAME",
    },
    "Sizes and repetitions": {
        "b": "SIZE",
        "e": "SIZE",
        "f": "FACTOR",
        "n": "N",
        "w": "N",
        "c": "0|1",
        "dtype": "TYPE",
        "repeat": "N",
        "budget": "SECONDS",
        "resume": "FILE",
    },
    "What is expected": {
        "min-busbw": "GB/S",
        "baseline": "FILE",
        "keep-baseline": "",
        "on-bad": "COMMAND",
    },
    "How it is launched": {
        "launch-from": "NODE",
        "procs-per-node": "N",
        "env": "K=V",
        "mpi-args": "WORDS",
        "no-progress": "SECONDS",
        "time-limit": "SECONDS",
        "wait": "",
    },
    "Which nodes": {
        "cluster": "FILE",
        "hosts": "NODESET",
        "exclude": "NODESET",
        "fanout": "N",
        "deadline": "SECONDS",
        "accept-new": "",
        "dry-run": "",
    },
    "What is shown": {
        "live": "",
        "last": "N",
        "since": "TIME",
        "output": "FILE",
        "format": "FORMAT",
        "results-dir": "FOLDER",
        "json": "",
    },
}
_OTHERS = "Options"

EXAMPLES: Mapping[str, Sequence[str]] = {
    "bootstrap": ("bootstrap --dry-run", "bootstrap --accept-new"),
    "facts": ("facts --hosts gpu[001-064]",),
    "nccl-test": (
        "nccl-test",
        "nccl-test --collective all_gather -b 1M -e 8G --min-busbw 350",
    ),
    "link-map": ("link-map", "link-map --by gpu --exclude gpu007"),
    "nccl-parse": ("nccl-parse slurm-1234.out", "nccl-parse 'logs/*.txt' --format csv"),
    "diagnose": ("diagnose matrix.csv",),
    "report": ("report", "report --last 7", "report results/my-cluster"),
    "run": ("run uptime -p", "run --hosts gpu[001-004] 'dmesg | tail -3'", "run --script check.sh quick"),
    "copy": ("copy nccl.conf", "copy --hosts gpu[001-004] topology.xml /opt/site/"),
    "rotate-keys": ("rotate-keys",),
    "teardown": ("teardown --dry-run",),
    "audit": ("audit --verify",),
    "lab.up": ("lab.up --nodes 8", "lab.up --nodes 4 --rate 10gbit --shared-home", "lab.up --slurm"),
    "lab.down": ("lab.down",),
    "lab.status": ("lab.status",),
    "lab.break": ("lab.break n5 help", "lab.break n5 slow-link"),
    "lab.mend": ("lab.mend n5",),
}

# In the order of a cluster's life.
_CHAPTERS: Mapping[str, Sequence[str]] = {
    "Set up": ("bootstrap", "facts", "rotate-keys", "teardown"),
    "Measure": ("nccl-test", "link-map"),
    "Read": ("nccl-parse", "diagnose", "report", "audit"),
    "On all nodes": ("run", "copy"),
    "A virtual cluster on this machine": ("lab.up", "lab.down", "lab.status", "lab.break", "lab.mend"),
}

_NARROWEST, _WIDEST = 40, 100


def columns() -> int:
    """Give the width to write for: the terminal's, 80 in a pipe."""
    return max(_NARROWEST, min(shutil.get_terminal_size((80, 24)).columns, _WIDEST))


def chapter(program: str, tasks: Collection, beginning: str, width: int) -> str:
    """Write the page on commands of one beginning, ``lab`` of ``lab.up``; empty where there are none."""
    names = [name for name in tasks.task_names if name.startswith(f"{beginning}.")]
    lines = _listed("Commands", [(name, summary(tasks[name])) for name in names], width)
    return "\n".join([f"Usage: {program} {beginning}.COMMAND [OPTIONS]", "", *lines]) if names else ""


def overview(program: str, tasks: Collection, width: int) -> str:
    """Write the page on all commands."""
    lines = [f"Usage: {program} COMMAND [OPTIONS]", ""]
    lines += _wrapped("Prove a cluster's interconnect, or say what is wrong with it.", width)
    lines.append("")
    known = {name for names in _CHAPTERS.values() for name in names}
    chapters = {**_CHAPTERS, "More": sorted(set(tasks.task_names) - known)}
    for title, names in chapters.items():
        entries = [(name, summary(tasks[name])) for name in names if name in tasks.task_names]
        lines += _listed(title, entries, width)
    lines += _wrapped(
        f"{program} help COMMAND explains one; {program} help invoke lists Invoke's own flags.", width
    )
    return "\n".join(lines) + "\n"


def page(program: str, name: str, task: CommandTask, arguments: Iterable[Argument], width: int) -> str:
    """Write a command's own page: usage, purpose, examples, options.

    Parameters: what the operator calls the program; the command's name, itself, and its arguments.
    """
    arguments = [argument for argument in arguments if argument.name is not None]
    plain = [(str(each.name).upper(), each.help or "") for each in arguments if each.positional]
    usage = [program, name, "[OPTIONS]", *(word for word, _ in plain)]
    hidden: set[str] = set()
    if task.words is not None:
        usage.append(task.words.usage)
        hidden.add(task.words.option)
        plain.append((task.words.usage, task.words.help))
    lines = [*_wrapped(" ".join(usage), width, "Usage: "), ""]
    for paragraph in (inspect.getdoc(task) or "").split("\n\n"):
        lines += [*_wrapped(" ".join(paragraph.split()), width), ""]
    if examples := EXAMPLES.get(name):
        lines += ["Examples:" if len(examples) > 1 else "Example:"]
        lines += [f"  {program} {each}" for each in examples]
        lines.append("")
    lines += _listed("Arguments", plain, width)
    options = {
        str(each.name).replace("_", "-"): each
        for each in arguments
        if not each.positional and each.name not in hidden
    }
    grouped = {option for group in GROUPS.values() for option in group}
    others = {
        option: "VALUE" if options[option].takes_value else "" for option in options if option not in grouped
    }
    for title, group in {**GROUPS, _OTHERS: others}.items():
        entries = [
            (_flag(option, value if options[option].takes_value else ""), options[option].help or "")
            for option, value in group.items()
            if option in options
        ]
        lines += _listed(title, entries, width)
    return "\n".join(lines).rstrip("\n") + "\n"


def summary(task: CommandTask) -> str:
    """Give a command's purpose: its docstring's first sentence."""
    return (inspect.getdoc(task) or "").partition("\n")[0]


def _flag(option: str, value: str) -> str:
    dashed = f"-{option}" if len(option) == 1 else f"--{option}"
    return f"{dashed} {value}".rstrip()


def _listed(title: str, entries: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Write entries in two columns; one that is too long for the first gets a line of its own."""
    if not entries:
        return []
    first = min(max(len(word) for word, _ in entries), width // 3)
    lines = [f"{title}:"]
    for word, told in entries:
        head = f"  {word}".ljust(first + 4)
        if len(word) > first:
            lines.append(head.rstrip())
            head = " " * (first + 4)
        lines += _wrapped(told, width, head) if told else [head.rstrip()]
    return [*lines, ""]


def _wrapped(text: str, width: int, head: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
        break_long_words=False,
    )
