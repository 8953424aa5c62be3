"""The options that all cluster commands share, and reading numbers out of text."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterboot import interrupts
from clusterboot.errors import UsageError
from clusterboot.units import parse_size

from .command import Call

if TYPE_CHECKING:
    from clusterboot.inventory.cluster import Cluster
    from clusterboot.session.context import Context

SHARED: Mapping[str, str] = {
    "cluster": "the cluster file; the word lab means the running lab",
    "hosts": "only these hosts, in folded form: gpu[001-064,070]",
    "exclude": "all but these hosts",
    "dry_run": "say what would change on which host; change nothing",
    "accept_new": "pin host keys that are seen for the first time",
    "fanout": "at most so many nodes at once (default 32)",
    "deadline": "end the whole command within so many seconds",
}

# Of commands that write results or hostfiles.
WRITING: Mapping[str, str] = {
    **SHARED,
    "results_dir": "where results go, and hostfiles (default $CLUSTERBOOT_RESULTS, else by the cluster file)",
}
# Of commands that launch a measurement.
LAUNCHING: Mapping[str, str] = {
    **WRITING,
    "launch_from": "the node to launch from, or head (default the first that reaches all others)",
    "share_gpu": "let ranks share a GPU, over sockets: smoke test only; bandwidth is not judged",
    "env": "a variable for every rank, may be given again; K alone takes its value, a secret's, from here",
    "mpi_args": "further words for mpirun, in quotes: '--mca btl_tcp_links 2'",
    "wait": "wait for another measurement on these nodes to end, instead of being refused",
    "on_bad": "a shell command to run where the exit code is 6, with the result's JSON on its standard input",
    "format": "csv, junit or prometheus on standard output, in place of the table",
}
_MOST_DIGITS = 18
# These ask nodes what they are, and need no logins from one to another.
_ON_SLURM = ("facts", "run")


def context(call: Call, shared: Mapping[str, Any]) -> Context:
    """Read the cluster file that the options mean, and make what flows start from.

    Parameters: the command at work; the values of :data:`SHARED`, :data:`WRITING` or :data:`LAUNCHING`,
    of which the last go before what the cluster file says.
    Errors: :class:`UsageError` for an option or a file; nothing is contacted.
    """
    from clusterboot.inventory.loader import load
    from clusterboot.inventory.locations import find, results_root, state_dir
    from clusterboot.scrub import Scrubber
    from clusterboot.session.context import Context
    from clusterboot.session.over_slurm import over_slurm
    from clusterboot.session.over_ssh import over_ssh

    fanout = whole("--fanout", shared["fanout"], 1, 1024)
    deadline_s = number("--deadline", shared["deadline"])
    named = shared["cluster"] or os.environ.get("CLUSTERBOOT_CLUSTER", "")
    lab_file = running_lab() if named in ("", "lab") else None
    results_dir = shared.get("results_dir")
    for option, value in (
        ("cluster", shared["cluster"]),
        ("hosts", shared["hosts"]),
        ("results-dir", results_dir),
    ):
        # A script's variable that is empty does not mean every host of whatever cluster there is.
        if value == "":
            raise UsageError(f"--{option}: there is nothing in it", remedy="say which, or leave it out")
    path = find(shared["cluster"], cwd=here(), environ=os.environ, running_lab=lab_file)
    out_dir = here()
    if "results_dir" in shared:
        out_dir = results_root(
            results_dir, cwd=here(), environ=os.environ, cluster_file=path, labs=lab_root()
        )
        if not shared["dry_run"]:
            _require_writable(out_dir)
    cluster = load(path, hosts=shared["hosts"], exclude=shared["exclude"] or None)
    cluster = for_this_launch(cluster, shared.get("env") or (), shared.get("mpi_args", ""))
    if cluster.slurm and call.command not in _ON_SLURM:
        raise UsageError(
            f"{call.command} does not work on a cluster of type slurm",
            remedy=f"these do: {' and '.join(_ON_SLURM)}; see docs/slurm.md",
        )
    call.on_bad = shared.get("on_bad", "")
    call.cluster, call.deadline_s = cluster.name, deadline_s
    call.scrubber = Scrubber.of(cluster.env)
    for warning in cluster.warnings:
        call.warn(warning)
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    return Context(
        cluster,
        state_dir(cluster.name, os.environ),
        out_dir,
        events=call.terminal,
        accept_new=shared["accept_new"],
        dry_run=shared["dry_run"],
        fanout=fanout,
        deadline_s=deadline_s,
        interactive=interactive,
        wait=shared.get("wait", False),
        ask_passphrase=_asking() if interactive else None,
        started_s=call.started_s,
        reach=over_slurm if cluster.slurm else over_ssh,
        command=call.command,
    )


def _require_writable(folder: Path) -> None:
    """Refuse a place for results before there are any: a folder that is not there yet is made."""
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        cause = "cannot be written to" if there.is_dir() else "is no folder"
        raise UsageError(
            f"results and hostfiles go to {folder}, and {there} {cause}",
            remedy="give --results-dir FOLDER or set CLUSTERBOOT_RESULTS",
        )


def shown_path(path: Path) -> Path:
    """Write a path as seen from the folder that the command runs in, where it is below that."""
    return path.relative_to(here()) if path.is_relative_to(here()) else path


def lab_root() -> Path:
    """Give the folder of all labs."""
    from clusterboot.lab.store import root

    return root()


def for_this_launch(cluster: Cluster, env: Sequence[str], mpi_args: str) -> Cluster:
    """Add to a cluster what :data:`LAUNCHING` says, as if the cluster file said it.

    Errors: :class:`UsageError` for a name or a word that the file could not have; no value is shown.
    """
    from clusterboot.inventory.env import read_variable
    from clusterboot.inventory.name_rules import check_line
    from clusterboot.inventory.problems import RuleError

    try:
        variables = dict(read_variable(word, os.environ) for word in env)
        # As words of a shell's, which is what is typed here; none of it is run by a shell.
        words = tuple(check_line(word) for word in shlex.split(mpi_args))
    except RuleError as error:
        raise UsageError(f"--env or --mpi-args: {error.cause}", remedy=error.remedy) from None
    except ValueError as error:
        raise UsageError(f"--mpi-args {mpi_args}: {error}") from None
    mpi = replace(cluster.options.mpi, args=(*cluster.options.mpi.args, *words))
    return replace(cluster, env={**cluster.env, **variables}, options=replace(cluster.options, mpi=mpi))


def next_command(task: str, cluster: str | None = None) -> str:
    """Write a command for the user to try, in the words of the one that is running.

    Parameters: the task with its arguments; what ``--cluster`` said.
    """
    program = "clusterboot" if Path(sys.argv[0]).name in ("clusterboot", "__main__.py") else "invoke"
    return f"{program} {task}" + (f" --cluster {shlex.quote(cluster)}" if cluster else "")


def writer(shared: Mapping[str, Any]) -> Callable[[str], str]:
    """Give what writes a command for the user to try on the hosts of the one that is running.

    Parameters: the values of :data:`SHARED`. A bootstrap is of all hosts, whose hostfiles it writes.
    """

    def written(task: str) -> str:
        words = shlex.split(task)
        if words[0] != "bootstrap":
            if shared["hosts"] and "--hosts" not in words:
                words += ["--hosts", shared["hosts"]]
            if shared["exclude"] and "--exclude" in words:
                words[words.index("--exclude") + 1] += f",{shared['exclude']}"
            elif shared["exclude"]:
                words += ["--exclude", shared["exclude"]]
        return next_command(shlex.join(words), shared["cluster"])

    return written


def here() -> Path:
    """Give the folder that the command runs in. Errors: :class:`UsageError` where that was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the folder this runs in is gone", remedy="change to another") from None


def running_lab() -> Path | None:
    """Give the cluster file of the lab called ``lab``, else of the only one that runs."""
    from clusterboot import lab

    names = lab.running()
    if "lab" in names:
        return lab.cluster_file("lab")
    return lab.cluster_file(names[0]) if len(names) == 1 else None


def whole(option: str, text: str, lowest: int, highest: int | None = None) -> int | None:
    """Read a whole number; ``None`` for an option that was not given.

    Errors: :class:`UsageError` for anything else, or a number out of range.
    """
    if not text:
        return None
    # Python refuses to read a number of thousands of digits.
    if not text.isdecimal() or len(text) > _MOST_DIGITS or not lowest <= int(text) <= (highest or int(text)):
        range_ = f"from {lowest} to {highest}" if highest else f"of at least {lowest}"
        raise UsageError(f"{option} {text}: not a whole number {range_}")
    return int(text)


def number(option: str, text: str) -> float | None:
    """Read a positive number; ``None`` for an option that was not given.

    Errors: :class:`UsageError` for anything else.
    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise UsageError(f"{option} {text}: not a positive number")
    return value


def size(option: str, text: str) -> int:
    """Read a size in bytes, ``64M`` among them.

    Errors: :class:`UsageError` for anything else.
    """
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def choice(option: str, text: str, choices: tuple[str, ...]) -> str:
    """Read one of a few words.

    Errors: :class:`UsageError` that names them.
    """
    if text not in choices:
        raise UsageError(f"{option} {text}: not one of {', '.join(choices)}")
    return text


def _asking() -> Callable[[Path], str]:
    """Make what asks at the terminal for passphrases: once a command for each key and its successor."""
    told: dict[Path, str] = {}

    def ask(path: Path) -> str:
        path = path.with_name(path.name.removesuffix(".next"))
        if path not in told:
            try:
                with interrupts.at_once():
                    told[path] = getpass.getpass(f"Passphrase for {path}: ")
            except EOFError:
                raise UsageError(f"no passphrase was given for {path}") from None
        return told[path]

    return ask
