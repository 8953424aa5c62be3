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

# What the node's login shell is asked to run; valid in sh, bash, zsh, csh and fish alike.
REMOTE_COMMAND = "exec /bin/sh -s"

_SECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


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
    the script's first word (banners, start-up files); ``complete`` is false where the
    script was cut off.
    """

    sections: Mapping[str, SectionOutput]
    noise: bytes
    complete: bool


def new_nonce() -> str:
    """Make the random word that marks one conversation: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def render(sections: Sequence[Section], nonce: str) -> str:
    """Write the script that runs ``sections`` in order and frames what they say.

    Parameters: sections with distinct names; a nonce from :func:`new_nonce`.
    Returns: POSIX ``sh`` text for the standard input of ``sh -s``.
    Errors: ``ValueError`` for a section name that could break the frame.
    """
    lines = ["LC_ALL=C; export LC_ALL", f"printf '\\n%s begin\\n' {nonce}"]
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
    lines += [f"printf '\\n%s end\\n' {nonce}", "exit 0"]
    return "\n".join(lines) + "\n"


def read(raw: bytes, nonce: str) -> Answer:
    """Take a node's answer apart.

    Parameters: all that came on standard output; the nonce the script was rendered with.
    Returns: the answer; a section that was cut off is absent.
    """
    mark = nonce.encode()
    begin = re.search(rb"(?:^|\n)" + mark + rb" begin\r?\n", raw)
    if not begin:
        return Answer({}, raw, complete=False)
    pattern = re.compile(
        rb"\n"
        + mark
        + rb" section (?P<name>[a-z0-9_.-]+)\n(?P<out>.*?)\n"
        + mark
        + rb" exit (?P=name) (?P<rc>\d+)\n",
        re.DOTALL,
    )
    sections = {
        m["name"].decode(): SectionOutput(m["out"], int(m["rc"]))
        for m in pattern.finditer(raw, begin.end() - 1)
    }
    return Answer(sections, raw[: begin.start()], complete=raw.rstrip(b"\n").endswith(mark + b" end"))
