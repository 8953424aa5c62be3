"""One asking of a question: the script that is sent, what gathers the answer, and what is wrong with none."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

from clusterboot.errors import PartialError, Stage
from clusterboot.printable import one_line

from . import script
from .collector import Collector
from .lines import ErrorLines, OnLine, SectionLines
from .question import Clock, Question, Reply
from .script import Answer

T = TypeVar("T")

# Source: do_nologin() in OpenSSH's session.c.
_NOLOGIN_STATUS = 254


class Asking(Generic[T]):
    """A question's script under a random word (or ``nonce``), for whatever carries it to a shell and back.

    ``script`` goes to the standard input of ``sh``, which stays open until ``stdout`` has told all;
    ``stdout`` and ``stderr`` take what comes. With ``on_line`` they pass it on, and the answer's
    sections are empty.
    """

    def __init__(
        self, question: Question[T], on_line: OnLine | None = None, *, nonce: str | None = None
    ) -> None:
        self._question = question
        self._nonce = nonce or script.new_nonce()
        text = script.render(question.sections, self._nonce, guarded=True)
        self.script = text.encode("utf-8", "surrogateescape")
        self.stdout: Collector
        self.stderr: Collector
        if on_line is None:
            self.stdout = Collector(script.first_word(self._nonce), script.last_word(self._nonce))
            self.stderr = Collector()
        else:
            self.stdout, self.stderr = SectionLines(self._nonce, on_line), ErrorLines(on_line)
        self._sent_at_s = time.time()

    def answer(self, name: str, code: int | None) -> T:
        """Read what came, once the shell has ended.

        Parameters: the host's name; the shell's exit status.
        Errors: :class:`PartialError` where that is no whole reply; what the question's ``parse`` raises.
        """
        if isinstance(self.stderr, ErrorLines):
            self.stderr.end()
        question, stderr = self._question, bytes(self.stderr.data)
        answer = script.read(bytes(self.stdout.data), self._nonce)
        if not answer.has(question.sections):
            raise _cut_off(name, question.stage, code, answer, stderr)
        return question.parse(Reply(answer.sections, stderr, Clock(self._sent_at_s, time.time())))


def _cut_off(name: str, stage: Stage, code: int | None, answer: Answer, stderr: bytes) -> PartialError:
    """Say why an answer ended before it was complete: the start-up files, the account, or the machine."""
    words = one_line((b"" if answer.begun else answer.noise) + stderr)
    said = f": {words}" if words else ""
    if answer.begun:
        return PartialError(
            f"the script was cut off (exit status {code}){said}",
            host=name,
            stage=stage,
            remedy="look at the machine's memory, disk and limits",
        )
    if code == _NOLOGIN_STATUS:
        return PartialError(
            f"logins are closed there by /etc/nologin{said}",
            host=name,
            stage="channel",
            remedy="wait until it is open again, or remove that file",
        )
    return PartialError(
        f"the login shell ended before it ran anything (exit status {code}){said}",
        host=name,
        stage="channel",
        remedy="look for an exit in the shell's start-up files, a ForceCommand, or a nologin shell there",
    )
