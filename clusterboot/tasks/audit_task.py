"""The task on the audit log: whether it is still what was written."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from clusterboot.errors import ExitCode, UsageError
from clusterboot.report.about import About
from clusterboot.report.ending import show_lines

from .cli.command import Call, Outcome, command
from .cli.options import here, next_command, running_lab

if TYPE_CHECKING:
    from .documents import AuditVerifiedJson, FlawJson


@command(
    "audit",
    cluster="the cluster file; the word lab means the running lab",
    log="an audit log's path, in place of the cluster's own",
    verify="check that no line of it was edited, taken out or moved",
    expect="with --verify: the last line's SHA-256 as it was noted elsewhere, at some time",
)
def audit(call: Call, cluster: str = "", log: str = "", verify: bool = False, expect: str = "") -> Outcome:
    """Show where the audit log of a cluster is, and check it.

    Lines that were edited, moved or taken out show by themselves, and lines that are missing at the
    end by the mark beside the log. Who can write to this machine's files can make a new log and a new
    mark: what shows that is the last line's hash, kept on another machine and given as --expect.
    """
    from clusterboot.ssh.audit import verify as check

    expected = expect.strip().lower()
    if expected and (not verify or not re.fullmatch(r"[0-9a-f]{64}", expected)):
        raise UsageError(
            f"--expect {expect!r} is no SHA-256 to verify" if verify else "--expect needs --verify",
            remedy="give the hash that an earlier audit --verify printed",
        )
    path = Path(log) if log else _log_of(call, cluster)
    if not verify:
        if not path.exists():
            raise UsageError(f"there is no audit log at {path}", remedy="nothing was done there yet")
        where = f"The audit log is {path}"
        return Outcome(
            more={"log": path},
            next_step=next_command("audit --verify", cluster),
            show=lambda to, _: show_lines(to, [where]),
        )
    verdict = check(path, expected or None)
    flaws: list[FlawJson] = [{"line": flaw.line, "cause": flaw.cause} for flaw in verdict.flaws]

    def show(to: Console, _: About) -> None:
        for flaw in verdict.flaws:
            to.print(Text(f"line {flaw.line} {flaw.cause}", style="red"), soft_wrap=True)
        state = f"{len(verdict.flaws)} flaws" if verdict.flaws else "whole"
        lines = [f"{path}: {verdict.entries} entries, {state}", f"Last line's SHA-256: {verdict.last_hash}"]
        lines.append("Keep it on another machine; later: audit --verify --expect THAT-HASH")
        show_lines(to, lines)

    code = ExitCode.VALIDATION if verdict.flaws else ExitCode.OK
    more: AuditVerifiedJson = {
        "log": path,
        "entries": verdict.entries,
        "last_hash": verdict.last_hash,
        "flaws": flaws,
    }
    return Outcome(code, more=more, show=show)


def _log_of(call: Call, cluster: str) -> Path:
    from clusterboot.inventory.loader import load
    from clusterboot.inventory.locations import find, state_dir

    path = find(cluster or None, cwd=here(), environ=os.environ, running_lab=running_lab())
    call.cluster = load(path).name
    return state_dir(call.cluster, os.environ) / "audit.jsonl"
