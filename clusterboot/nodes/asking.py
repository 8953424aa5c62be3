"""One asking of a question: the script that is sent, and what gathers the answer."""

from __future__ import annotations

import time
from typing import Any

from . import script
from .collector import Collector
from .lines import ErrorLines, OnLine, SectionLines
from .question import Clock, Question, Reply
from .script import Answer


class Asking:
    """A question's script under a random word of its own, for whatever carries it to a shell and back.

    ``script`` goes to the standard input of ``sh``, which stays open until ``stdout`` has told all;
    ``stdout`` and ``stderr`` take what comes. With ``on_line`` they pass it on, and the answer's
    sections are empty.
    """

    def __init__(self, question: Question[Any], on_line: OnLine | None = None) -> None:
        self._nonce = script.new_nonce()
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

    def answer(self) -> Answer:
        """Read what came."""
        if isinstance(self.stderr, ErrorLines):
            self.stderr.end()
        return script.read(bytes(self.stdout.data), self._nonce)

    def reply(self, answer: Answer) -> Reply:
        """Make a whole answer the reply that a question reads."""
        return Reply(answer.sections, bytes(self.stderr.data), Clock(self._sent_at_s, time.time()))
