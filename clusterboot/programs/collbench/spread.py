"""A built program on the other nodes: copied node to node from the launching node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from shlex import quote
from typing import Literal

from clusterboot.mpi.launcher import SSH_AGENT
from clusterboot.mpi.script_names import bench_folder, token
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput

from .build import EXEC_PROBE

# A node that freezes after the login is given up after 30 s.
_ALIVE = ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")
_LINE = re.compile(r"(?P<target>[A-Za-z0-9._:-]+) (?P<word>ok|same|error)(?: (?P<text>.*))?")
_ERROR_CHARS = 300
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Copied:
    """What became of the copy to one node.

    ``same`` where it had the program already; ``error`` carries the last thing that ssh or
    the node said.
    """

    target: str
    result: Literal["ok", "same", "error"]
    error: str | None = None


def copying(
    cluster: str,
    digest: str,
    program: str,
    targets: Sequence[str],
    *,
    nonce: str,
    fanout: int = 8,
    agent: Sequence[str] = SSH_AGENT,
) -> Question[tuple[Copied, ...]]:
    """Have the launching node give a built program to others that lack it.

    One login a target: it compares checksums, takes the program from standard input where
    they differ, checks what arrived, and only then gives it its name. At most ``fanout``
    logins are open at once, and each line of the answer is a target's own.

    Parameters: the cluster's name; the build's digest and program; the targets as ssh on the
    launching node is to dial them; the word that marks a target's answer among what its
    start-up files say; the ssh command.
    Returns: what is answered by a result for each target.
    Errors: ``ValueError`` for a name that is not one, or a fan-out below 1.
    """
    if fanout < 1:
        raise ValueError("a copy needs a fan-out of at least 1")
    folder, name = bench_folder(cluster, digest), token(program, "a program")
    dialled = [token(target, "a node") for target in targets]
    mark = token(nonce, "a nonce")
    ssh = " ".join(map(quote, [*agent, *_ALIVE]))
    # The target's login shell may be a csh: one line, without quotes or exclamation marks.
    receive = "; ".join(
        (
            "umask 077",
            f"say() {{ echo {mark} $*; exit; }}",
            f"cd && mkdir -p {folder} && cd {folder} || say error cannot write {folder}",
            EXEC_PROBE,
            "[ $tried -ne 126 ] || say error the home directory is mounted noexec",
            f'[ -x {name} ] && [ "$(cksum <{name})" = "@SUM@" ] && say same',
            f"new=.{name}.$$",
            f'cat >$new && [ "$(cksum <$new)" = "@SUM@" ] && chmod 700 $new && mv -f $new {name} && say ok',
            "rm -f $new",
            "say error the copy did not arrive whole",
        )
    )
    before, middle, after = receive.split("@SUM@")
    body = [
        f"cd && file={folder}/{name} && [ -x \"$file\" ] || {{ echo 'no program to copy'; exit 1; }}",
        'sum=$(cksum <"$file")',
        f"receive={quote(before)}$sum{quote(middle)}$sum{quote(after)}",
        "push() {",
        "for target; do",
        f'said=$({ssh} -- "$target" "exec /bin/sh -c \'$receive\'" <"$file" 2>&1)',
        f"result=$(printf '%s\\n' \"$said\" | sed -n 's/^{mark} //p' | head -n 1)",
        '[ -n "$result" ] || result="error $(printf \'%s\\n\' "$said" | tail -n 1)"',
        'printf "%s %s\\n" "$target" "$result"',
        "done",
        "}",
        *(f"push {' '.join(dialled[lane::fanout])} &" for lane in range(min(fanout, len(dialled)))),
        "wait",
        "exit 0",
    ]
    parse = partial(parse_spread, targets=tuple(targets))
    return Question.of_one(Section("spread", "\n".join(body)), parse, "launch", _TIMEOUT_S)


def parse_spread(output: SectionOutput, targets: Sequence[str]) -> tuple[Copied, ...]:
    """Read what :func:`copying` did.

    Returns: a result for each target, in the given order; one that said nothing failed.
    """
    lines = (_LINE.fullmatch(line.rstrip("\r")) for line in output.text.split("\n"))
    found = {line["target"]: line for line in lines if line}
    return tuple(_copied(target, found.get(target)) for target in targets)


def _copied(target: str, line: re.Match[str] | None) -> Copied:
    if line is None:
        return Copied(target, "error", "no answer")
    if line["word"] == "error":
        return Copied(target, "error", (line["text"] or "no answer")[:_ERROR_CHARS])
    return Copied(target, "ok" if line["word"] == "ok" else "same")
