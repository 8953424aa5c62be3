"""The tasks on a cluster's nodes: bootstrap, facts, run, teardown.

Each imports its flow when it runs: what one of them needs would slow the start of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.text import Text

from clusterboot.errors import ExitCode, UsageError
from clusterboot.folding import by_value, fold
from clusterboot.printable import printable
from clusterboot.report import ending as report
from clusterboot.report.ending import say

from .changes import below_home, changes, folded, show_changes
from .command import Call, Outcome, command
from .options import SHARED, choice, context, next_command

if TYPE_CHECKING:
    from clusterboot.commands.bootstrap import Bootstrapped
    from clusterboot.commands.rotate_keys import Rotated
    from clusterboot.commands.run_command import CommandRun
    from clusterboot.commands.teardown import TornDown
    from clusterboot.inventory.cluster import KeyMode, VerifyMode
    from clusterboot.session.context import Context
    from clusterboot.trust import LoginFailure, LoginFinding

Options = Mapping[str, Any]
_KEYS = ("per-node", "ca", "shared")
_MEANING = {
    "per-node": "each node has a key of its own, which never leaves it",
    "ca": "certificates of this machine's authority, renewed by bootstrap; hosts are pinned",
    "shared": "one key for all nodes: who has one node has them all",
}
_VERIFY = ("launch", "full", "none")
# A command without --deadline may be an installation; it is not meant to hang for ever.
_COMMAND_TIMEOUT_S = 3600.0


@command(
    "bootstrap",
    shared=SHARED,
    keys="how nodes trust each other: per-node, ca or shared",
    encrypt_keys="ask for a passphrase for the key that ca and shared keep on this machine",
    verify="which node-to-node logins to prove: launch, full or none",
)
def bootstrap_task(
    session: Call, shared: Options, keys: str = "", verify: str = "", encrypt_keys: bool = False
) -> Outcome:
    """Collect facts, distribute keys, prove node-to-node logins, write hostfiles."""
    from clusterboot.commands.bootstrap import bootstrap
    from clusterboot.session.results import result_folder, save

    if keys:
        choice("--keys", keys, _KEYS)
    if verify:
        choice("--verify", verify, _VERIFY)
    at = context(session, shared)
    if encrypt_keys and at.ask_passphrase is None:
        raise UsageError("there is no terminal to ask for a passphrase", remedy="leave out --encrypt-keys")
    at = replace(at, encrypt_keys=encrypt_keys)
    mode = cast("KeyMode", keys) if keys else None
    result = bootstrap(at, cast("VerifyMode", verify or at.cluster.options.verify), mode)
    then = next_command("nccl-test", shared["cluster"])
    # What the nodes are now is what later runs are read against.
    keep = result.facts and not at.dry_run
    return Outcome(
        result.exit_code,
        result.hosts,
        _bootstrap_document(at, result),
        lambda to: _show_bootstrap(to, at, result, then),
        save=(lambda text: save(result_folder(at, "bootstrap"), text)) if keep else None,
    )


def _bootstrap_document(at: Context, result: Bootstrapped) -> dict[str, Any]:
    from clusterboot.report.factlines import fact_lines

    plan = result.addresses
    return {
        "dry_run": at.dry_run,
        "keys": result.mode,
        "keys_reason": result.choice,
        "finished": result.stopped is None,
        "shared_homes": [list(group) for group in result.shared_homes],
        "network": str(plan.network) if plan and plan.network else None,
        "network_reason": plan.explanation if plan else None,
        "addresses": {entry.host: entry.ip for entry in plan.addresses} if plan else {},
        "changed_files": below_home(result.edits),
        "changes": changes(result.planned),
        "names": {name: list(also) for name, also in result.names.items()},
        "notes": {name: list(said) for name, said in result.notes.items()},
        "launch_host": result.launch_host,
        "node_facts": list(fact_lines(result.facts)),
        "failed_logins": _failed_logins(result.login_failures),
        "findings": [_finding(one) for one in result.findings],
        "hostfiles": str(at.hostfile_dir),
        "changed_hostfiles": list(result.files),
    }


def _failed_logins(failures: Sequence[LoginFailure]) -> list[dict[str, str]]:
    return [
        {"from": f.source, "to": f.target, "cause": f.cause, "text": f.text, "remedy": f.remedy}
        for f in failures
    ]


def _finding(one: LoginFinding) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "host": one.host,
        "cause": one.cause,
        "text": one.text,
        "remedy": one.remedy,
        "logins": [list(login) for login in one.logins],
    }


def _show_bootstrap(to: Console, at: Context, result: Bootstrapped, then: str) -> None:
    from clusterboot.report.nodes import show_nodes
    from clusterboot.trust.blaming import pair_in_words

    if result.facts:
        show_nodes(to, result.facts)
    report.show_failures(to, result.hosts)
    lines = []
    if result.addresses:
        lines.append(f"Network: {result.addresses.explanation}")
    for group in result.shared_homes:
        lines.append(f"Keys: {fold(group)} share one home, and so one key: each of them is all of them")
    lines += _own_names(result.names)
    for name, notes in result.notes.items():
        lines += [f"Note: {name}: {note}" for note in notes]
    if result.choice:
        lines.append(result.choice)
    if result.stopped:
        lines.append(result.stopped)
    elif result.mode != "per-node":
        lines.append(f"Keys: {result.mode}: {_MEANING[result.mode]}")
    if at.dry_run:
        show_changes(to, result.planned)
        lines += [
            f"Would change on {fold(names)}: {paths}" for paths, names in by_value(folded(result.edits))
        ]
        lines.append("Nothing was changed (--dry-run)")
        report.show_summary(to, lines, None)
        return
    changed = [host.name for host in result.hosts if host.changed]
    lines.append(f"Keys: changed on {fold(changed)}" if changed else "Keys: all in place, nothing changed")
    if result.launch_host:
        lines.append(f"Logins: checked from {result.launch_host}, where mpirun will start")
    lines += [f"Logins: {pair_in_words(pair)}" for pair in result.pairs[:_MOST_NAMED]]
    lines.append(f"Hosts: {report.count_states(result.hosts)}; hostfiles in {_relative(at)}")
    report.show_summary(to, lines, _next_step(at, result, then))


_MOST_NAMED = 8


def _own_names(names: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Say which hosts the others may also call by the hosts' own names."""
    if not names:
        return []
    shown = [f"{name} is also {', '.join(also)}" for name, also in list(names.items())[:_MOST_NAMED]]
    more = f"; and {len(names) - _MOST_NAMED} more, see --json" if len(names) > _MOST_NAMED else ""
    return [f"Names added on the nodes: {'; '.join(shown)}{more}"]


def _next_step(at: Context, result: Bootstrapped, then: str) -> str | None:
    """Say what comes before ``then`` where the usable nodes lack an MPI; ``None`` where none is usable."""
    from clusterboot.report.nodes import mpi_to_install

    good = {host.name: result.facts[host.name] for host in result.hosts if host.status == "ok"}
    first = mpi_to_install(good, at.cluster.options.mpi)
    return (f"{first}; then {then}" if first else then) if good else None


def _relative(at: Context) -> str:
    return f"{at.hostfile_dir.relative_to(at.out_dir)}/"


@command("facts", shared=SHARED)
def facts_task(session: Call, shared: Options) -> Outcome:
    """Collect and tabulate what the nodes are, every difference between them marked."""
    from clusterboot.commands.facts import inventory
    from clusterboot.facts import to_json
    from clusterboot.report.nodes import show_nodes

    result = inventory(context(session, shared))

    def show(to: Console) -> None:
        if result.facts:
            show_nodes(to, result.facts)
        report.show_failures(to, result.hosts)

    more = {"facts": {name: to_json(node) for name, node in result.facts.items()}}
    return Outcome(result.exit_code, result.hosts, more, show)


@command("run", shared=SHARED, shell_command="what to run, as one word: 'uptime -p'")
def run_task(session: Call, shell_command: str, shared: Options) -> Outcome:
    """Run one shell command on every node, equal answers folded together."""
    from clusterboot.commands.run_command import run_command

    # What begins with a dash is an option that there is not, which invoke takes for the word that is wanted.
    if not shell_command.strip() or shell_command.startswith("-"):
        cause = f"{shell_command} is no command" if shell_command.strip() else "there is no command"
        raise UsageError(cause, remedy="write one in quotes: invoke run 'uptime -p'")
    at = context(session, shared)
    if at.dry_run:
        names = [host.name for host in at.cluster.hosts]
        return Outcome(show=lambda to: to.print(Text(f"Would run on {fold(names)}: {shell_command}")))
    result = run_command(at, shell_command, at.deadline_s or _COMMAND_TIMEOUT_S)
    answers = {
        name: {
            "exit_code": said.exit_code,
            "stdout": printable(said.stdout),
            "stderr": printable(said.stderr),
        }
        for name, said in result.answers.items()
    }
    return Outcome(result.exit_code, result.hosts, {"answers": answers}, lambda to: _show_answers(to, result))


def _show_answers(to: Console, result: CommandRun) -> None:
    said = {
        name: (answer.exit_code, answer.stdout + answer.stderr) for name, answer in result.answers.items()
    }
    for (status, text), names in by_value(said):
        head = Text(fold(names), style="bold")
        if status:
            head.append(f" exit status {status}", style="red")
        say(to, head)
        if text:
            say(to, Text(printable(text).rstrip("\n")))
    report.show_failures(to, [host for host in result.hosts if host.name not in result.answers])


@command("rotate-keys", shared=SHARED)
def rotate_keys_task(session: Call, shared: Options) -> Outcome:
    """Replace the cluster's credentials: new in, proven, old out."""
    from clusterboot.commands.rotate_keys import rotate

    at = context(session, shared)
    result = rotate(at)
    more = {
        "dry_run": at.dry_run,
        "keys": result.mode,
        "finished": result.finished,
        "changed_files": below_home(result.edits),
        "failed_logins": _failed_logins(result.login_failures),
    }
    return Outcome(result.exit_code, result.hosts, more, lambda to: _show_rotated(to, at, result))


def _show_rotated(to: Console, at: Context, result: Rotated) -> None:
    from clusterboot.trust.blaming import pair_in_words

    report.show_failures(to, result.hosts)
    names = [host.name for host in result.hosts if host.status == "ok"]
    good = fold(names)
    if at.dry_run:
        lines = [f"Would replace the keys of {good}", "Nothing was changed (--dry-run)"]
    elif result.finished:
        lines = [f"Keys: new on {good}, each proven before the old one went"]
    else:
        lines = [result.stopped or "Keys: none replaced"]
    if result.finished:
        pairs = [each for each in result.login_failures if {each.source, each.target} <= set(names)]
        lines += [f"Logins: {pair_in_words(pair)}" for pair in pairs[:_MOST_NAMED]]
    report.show_summary(to, lines, None)


@command("teardown", shared=SHARED)
def teardown_task(session: Call, shared: Options) -> Outcome:
    """Take back exactly what bootstrap put on the nodes."""
    from clusterboot.commands.teardown import teardown

    at = context(session, shared)
    result = teardown(at)
    more = {
        "dry_run": at.dry_run,
        "changed_files": below_home(result.edits),
        "changes": changes(result.planned),
        "still_to_do": list(result.still_to_do),
    }
    return Outcome(result.exit_code, result.hosts, more, lambda to: _show_teardown(to, at, result))


def _show_teardown(to: Console, at: Context, result: TornDown) -> None:
    report.show_failures(to, result.hosts)
    word = "Would take back" if at.dry_run else "Took back"
    lines = [f"{word} on {fold(names)}: {paths}" for paths, names in by_value(folded(result.edits))]
    if not lines:
        lines.append("Nothing of this cluster's is on the nodes that were reached")
    if at.dry_run:
        show_changes(to, result.planned)
    if result.still_to_do:
        lines.append(f"Still to do on {fold(result.still_to_do)}: run this again when they can be reached")
    report.show_summary(to, lines, None)
    if result.exit_code is ExitCode.OK and at.dry_run:
        to.print("Nothing was changed (--dry-run)")
