"""One message that tells of a failure, and the language in which tables of them are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..records import ProblemKind
from .where import HOST, NAME, over_lines

Strength = Literal["sure", "weak", "faint"]

# Anything within one paragraph, over line breaks; no more than a banner of OpenSSH's is long.
_GAP = r"(?:[^\n\f]|\n(?![\n\f])){0,1200}?"
# Open MPI's and UCX's lines begin with who says it: `[host:pid]`, `[host:pid:0:tid]`.
_TAG = rf"\[{NAME}:\d+[\d:\s]*\]"
_MACROS = {
    "{host}": HOST,
    "{name}": NAME,
    "{rank}": r"(?P<rank>\d+)",
    "{tag}": _TAG,
    "{daemon}": over_lines("(?:ORTE|PRTE|PRRTE|Open RTE|Open MPI|PMIx)"),
    "{starter}": r"(?:mpirun|mpiexec|mpiexec\.hydra|orterun|prterun|prun|prte|srun)",
    "{program}": r"(?:\b(?:orted|prted|mpirun|mpiexec|prterun|srun)|hydra_\w+_proxy|\b\w+_perf\w*"
    r"|\bcollbench[\w.-]*)",
    "{some}": _GAP.replace("1200", "200"),
    "…": _GAP,
}
# What is not the same in every text of a pattern, with the letters that it is a word with.
_SIGN = re.compile(r"\\\W")
_GROUP = re.compile(r"[A-Za-z]*\([^()]*\)[?*+]?[A-Za-z]*")
_NO_WORD = re.compile(
    r"[A-Za-z]*(?:\[\^?\]?[^\]]*\]|\\[wS])(?:[?*+]|\{[\d,]+\})?[A-Za-z]*|\\[A-Za-z][?*+]?|[A-Za-z]+[?*]"
)
_SPEAKER = "{speaker}"
SPEAKER = re.compile(_TAG)
WORD = re.compile(r"[A-Za-z]{3,}")


@dataclass(frozen=True)
class Pattern:
    """One message.

    ``hint`` is a word that it always has, looked for first. ``strength`` is ``sure`` for what ends
    a run, ``weak`` for what counts only where nothing else explains the end, ``faint`` for what also
    stands beside good tables and counts only where no test was concluded. ``running`` ones prove that a
    rank had got as far as the benchmark. ``in_midrun`` is the kind where a test had begun by then.
    ``spoken`` ones have their host in the tag at the beginning of the line.
    """

    kind: ProblemKind
    hint: str
    regex: re.Pattern[str]
    remedy: str
    strength: Strength = "sure"
    running: bool = False
    in_midrun: ProblemKind | None = None
    spoken: bool = False


def texts(
    kind: ProblemKind,
    remedy: str,
    *words: str,
    strength: Strength = "sure",
    running: bool = False,
    in_midrun: ProblemKind | None = None,
) -> tuple[Pattern, ...]:
    """Write the messages of one kind that have one remedy.

    Each is a regular expression of few characteristic words: a blank is any one blank or line break,
    ``…`` anything within the same paragraph and ``{some}`` a little of it, ``^`` and ``$`` a line's ends;
    what stands in braces is a macro, see above; ``{speaker}`` in front means that a tag before it names
    the host. Every one has a word of three letters outside of groups.
    """
    return tuple(
        Pattern(
            kind,
            _hint(each.removeprefix(_SPEAKER)),
            _compiled(each.removeprefix(_SPEAKER)),
            remedy,
            strength,
            running,
            in_midrun,
            each.startswith(_SPEAKER),
        )
        for each in words
    )


def _compiled(words: str) -> re.Pattern[str]:
    text = over_lines(words)
    for macro, meaning in _MACROS.items():
        text = text.replace(macro, meaning)
    return re.compile(text, re.MULTILINE)


def _hint(words: str) -> str:
    """Give the longest word that every text of a pattern has."""
    for macro in _MACROS:
        words = words.replace(macro, " ")
    words = _SIGN.sub(" ", words)
    before = ""
    while before != words:
        before, words = words, _GROUP.sub(" ", words)
    return max((match[0] for match in WORD.finditer(_NO_WORD.sub(" ", words))), key=len)
