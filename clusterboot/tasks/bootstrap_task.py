"""The command that bootstraps a cluster: its options, its document, and what people are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

from clusterboot.errors import UsageError
from clusterboot.folding import by_value, fold
from clusterboot.headline import Ending
from clusterboot.report import ending as report

from .changes import below_home, changes, folded, show_changes
from .cli.command import Call, Outcome, command
from .cli.options import WRITING, choice, context, shown_path, writer
from .failed_logins import MOST_NAMED, failed_logins, pair_lines

if TYPE_CHECKING:
    from clusterboot.commands.bootstrap import Bootstrapped
    from clusterboot.inventory.cluster import KeyMode, VerifyMode
    from clusterboot.report.about import About
    from clusterboot.session.context import Context
    from clusterboot.trust.blaming import LoginFinding

    from .documents import BootstrapJson, LoginFindingJson

_KEYS = ("per-node", "ca", "shared")
_MEANING = {
    "per-node": "each node has a key of its own, which never leaves it",
    "ca": "certificates of this machine's authority, renewed by bootstrap; hosts are pinned",
    "shared": "one key for all nodes: who has one node has them all",
}
_VERIFY = ("launch", "full", "none")


@command(
    "bootstrap",
    shared=WRITING,
    keys="how nodes trust each other: per-node, ca or shared",
    encrypt_keys="ask for a passphrase for the key that ca and shared keep on this machine",
    verify="which node-to-node logins to prove: launch, full or none",
)
def bootstrap_task(
    call: Call, shared: Mapping[str, Any], keys: str = "", verify: str = "", encrypt_keys: bool = False
) -> Outcome:
    """Collect facts, distribute keys, prove node-to-node logins, write hostfiles."""
    from clusterboot.commands.bootstrap import bootstrap
    from clusterboot.session.results import result_folder, save

    if keys:
        choice("--keys", keys, _KEYS)
    if verify:
        choice("--verify", verify, _VERIFY)
    at = context(call, shared)
    if encrypt_keys and at.ask_passphrase is None:
        raise UsageError("there is no terminal to ask for a passphrase", remedy="leave out --encrypt-keys")
    at = replace(at, encrypt_keys=encrypt_keys)
    mode = cast("KeyMode", keys) if keys else None
    result = bootstrap(at, cast("VerifyMode", verify or at.cluster.options.verify), mode)
    written = writer(shared)
    # What the nodes are now is what later runs are read against.
    keep = result.facts and not at.dry_run
    return Outcome(
        result.exit_code,
        result.hosts,
        _bootstrap_document(at, result),
        ending=Ending(reason=_not_done(result), dry_run=at.dry_run),
        next_step=_next_step(at, result, written),
        show=lambda to, about: _show_bootstrap(to, about, at, result),
        save=(lambda text: save(result_folder(at, "bootstrap"), text)) if keep else None,
    )


def _bootstrap_document(at: Context, result: Bootstrapped) -> BootstrapJson:
    from clusterboot.report.factlines import fact_lines

    plan = result.addresses
    return {
        "keys": result.mode,
        "keys_reason": result.choice,
        "finished": result.stopped is None,
        "shared_homes": [list(group) for group in result.shared_homes],
        "network": str(plan.network) if plan and plan.network else None,
        "network_reason": plan.explanation if plan else None,
        "addresses": plan.ip if plan else {},
        "changed_files": below_home(result.edits),
        "changes": changes(result.planned),
        "names": {name: list(also) for name, also in result.names.items()},
        "notes": {name: list(said) for name, said in result.notes.items()},
        "launch_host": result.launch_host,
        "node_facts": list(fact_lines(result.facts)),
        "failed_logins": failed_logins(result.login_failures),
        "findings": [_finding(one) for one in result.findings],
        "hostfiles": str(at.hostfile_dir),
        "changed_hostfiles": list(result.files),
    }


def _finding(one: LoginFinding) -> LoginFindingJson:
    return {
        "kind": one.kind,
        "host": one.host,
        "cause": one.cause,
        "text": one.text,
        "remedy": one.remedy,
        "logins": [list(login) for login in one.logins],
    }


def _show_bootstrap(to: Console, about: About, at: Context, result: Bootstrapped) -> None:
    from clusterboot.report.nodes import show_nodes

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
    else:
        lines += _done(at, result)
    report.show_lines(to, lines)
    report.show_headline(to, about.headline)


def _done(at: Context, result: Bootstrapped) -> list[str]:
    """Say what was done: nothing of keys, logins and hostfiles that were not looked at or written."""
    lines = []
    changed = [host.name for host in result.hosts if host.changed]
    good = [host.name for host in result.hosts if host.status == "ok"]
    if changed:
        lines.append(f"Keys: changed on {fold(changed)}")
    elif good:
        lines.append(f"Keys: in place on {fold(good)}, nothing changed")
    if result.launch_host:
        lines.append(f"Logins: checked from {result.launch_host}, where mpirun will start")
    lines += pair_lines(result.pairs)
    if result.facts:
        lines.append(f"Hostfiles: in {_relative(at)}")
    return lines


def _not_done(result: Bootstrapped) -> str:
    """Say why a bootstrap that lost no host is not done: a change of keys that stopped, logins that fail."""
    count = len(result.pairs)
    failed = f"{count} login{'s' if count > 1 else ''} between nodes failed" if count else ""
    return "; ".join(filter(None, (result.stopped, failed)))


def _own_names(names: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Say which hosts the others may also call by the hosts' own names."""
    if not names:
        return []
    shown = [f"{name} is also {', '.join(also)}" for name, also in list(names.items())[:MOST_NAMED]]
    more = f"; and {len(names) - MOST_NAMED} more, see --json" if len(names) > MOST_NAMED else ""
    return [f"Names added on the nodes: {'; '.join(shown)}{more}"]


def _next_step(at: Context, result: Bootstrapped, written: Callable[[str], str]) -> str | None:
    """Say what to do about hosts that are not done, else about nodes without an MPI, else what runs now."""
    from clusterboot.report.next_steps import mend_hosts
    from clusterboot.report.nodes import mpi_to_install

    mended = mend_hosts(result.hosts, "bootstrap", written)
    if mended is not None:
        return mended
    if at.dry_run:
        return written("bootstrap")
    if result.stopped:
        return written("bootstrap")
    good = {host.name: result.facts[host.name] for host in result.hosts if host.name in result.facts}
    first, then = mpi_to_install(good, at.cluster.options.mpi), written("nccl-test")
    return f"{first}; then {then}" if first else then


def _relative(at: Context) -> str:
    return f"{shown_path(at.hostfile_dir)}/"
