"""One POSIX ``sh`` script a stage, and one framed answer to it.

A node's login shell may be csh, its ``.bashrc`` may talk and its banner may be a
megabyte: what a script says is found between sentinels that carry a random word of this
one conversation, so nothing else on the channel can be taken for it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

# What the node's login shell is asked to run; valid in sh, bash, zsh, csh and fish alike.
REMOTE_COMMAND = "exec /bin/sh -s"

_SECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_EXIT = re.compile(rb"exit ([a-z0-9_.-]{1,64}) ([0-9]{1,3})")


@dataclass(frozen=True)
class Section:
    """A named piece of a script. Its body runs in a subshell of its own, without input."""

    name: str
    body: str


@dataclass(frozen=True)
class SectionOutput:
    """What a section wrote to standard output, byte for byte, and its exit status."""

    stdout: bytes
    exit_code: int

    @property
    def text(self) -> str:
        """The output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")


@dataclass(frozen=True)
class Answer:
    """A node's whole answer to a script.

    ``sections`` has each section that ran to its end, by name; ``noise`` what came before
    the script's first word (banners, start-up files), all of it where that word never came;
    ``begun`` is true where it came, ``complete`` where the script's last word came, too.
    """

    sections: Mapping[str, SectionOutput]
    noise: bytes
    complete: bool
    begun: bool = True

    def has(self, sections: Sequence[Section]) -> bool:
        """Tell whether it is whole, with the output of each of ``sections``."""
        return self.complete and all(section.name in self.sections for section in sections)


def new_nonce() -> str:
    """Make the random word that marks one conversation: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def render(sections: Sequence[Section], nonce: str, *, guarded: bool = False) -> str:
    """Write the script that runs ``sections`` in order and frames what they say.

    Parameters: sections with distinct names; a nonce from :func:`new_nonce`; a ``guarded`` script
    ends, with all that it started, soon after its standard input closes, and, where a line has
    come on it, so many seconds later as that says. Nothing but such lines may follow the script.
    Returns: POSIX ``sh`` text for the standard input of ``sh -s``.
    Errors: ``ValueError`` for a section name that could break the frame.
    """
    # A shell may read its script ahead or line by line; one compound command is read to its
    # end before it begins, so that nothing of it is left on the guarded standard input.
    lines = ["{", _guard()] if guarded else []
    lines += ["LC_ALL=C; export LC_ALL", f"printf '\\n%s begin\\n' {nonce}"]
    for section in sections:
        if not _SECTION_NAME.fullmatch(section.name):
            raise ValueError(f"bad section name {section.name!r}")
        lines += [
            f"printf '\\n%s section {section.name}\\n' {nonce}",
            "(",
            section.body.rstrip("\n"),
            ") </dev/null",
            f"printf '\\n%s exit {section.name} %d\\n' {nonce} $?",
        ]
    lines.append(f"printf '\\n%s end\\n' {nonce}")
    lines += ["exec 2>/dev/null", 'kill "$cb_guard"', "exit 0", "}"] if guarded else ["exit 0"]
    return "\n".join(lines) + "\n"


@cache
def _guard() -> str:
    return resources.files(__package__).joinpath("guard.sh").read_text(encoding="utf-8").rstrip("\n")


def first_word(nonce: str) -> bytes:
    """Give the bytes with which an answer begins: from then on the script is read, and its guard there."""
    return f"\n{nonce} begin\n".encode()


def last_word(nonce: str) -> bytes:
    """Give the bytes with which a complete answer ends; a start-up file's own jobs may talk on after them."""
    return f"\n{nonce} end\n".encode()


def read(raw: bytes, nonce: str) -> Answer:
    """Take a node's answer apart, in one pass, whatever it is.

    Parameters: all that came on standard output; the nonce the script was rendered with.
    Returns: the answer; a section that was cut off is absent, of one that comes twice the first stays.
    """
    # A sentinel stands at the start of a line; "\n" before the first one makes that true of all.
    noise, *pieces = (b"\n" + raw).split(f"\n{nonce} ".encode())
    sections: dict[str, SectionOutput] = {}
    begun = complete = False
    opened: tuple[bytes, bytes] | None = None
    for piece in pieces:
        word, line_end, rest = piece.partition(b"\n")
        word = word.rstrip(b"\r")
        if not line_end:
            break
        if not begun:
            begun = word == b"begin"
            continue
        ended = _EXIT.fullmatch(word)
        if ended and opened and ended[1] == opened[0]:
            sections.setdefault(ended[1].decode(), SectionOutput(opened[1], int(ended[2])))
        opened = (word.removeprefix(b"section "), rest) if word.startswith(b"section ") else None
        if word == b"end":
            complete = True
            break
    return Answer(sections, noise[1:] if begun else raw, complete, begun)
