"""What OpenSSH's client says while it logs in to a gateway, and what that means.

Source: the ``debug1`` lines of ssh.c, sshconnect.c, sshconnect2.c, channels.c and clientloop.c.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field

from clusterboot.printable import one_line

# How far a login has come, in the order in which it goes.
CONNECT, BANNER, EXCHANGE, AUTH, ASKED, UP = range(6)
_STEPS = (
    (re.compile(r"(?:Connection established\.|Local version string .*)"), BANNER),
    (re.compile(r"Remote protocol version .*"), EXCHANGE),
    (re.compile(r"SSH2_MSG_NEWKEYS received"), AUTH),
    # From here on a password, a code or a key's passphrase may be asked for.
    (re.compile(r"Next authentication method: (?:password|keyboard-interactive)"), ASKED),
    (re.compile(r"(?:Server accepts key|Trying private key): .*"), ASKED),
    (re.compile(r"Entering interactive session\."), UP),
)
_HOST_KEY = re.compile(r"Server host key: (\S+) (SHA256:\S+)")
_OFFERED = re.compile(r"Offering public key: (.+?) ([A-Z0-9-]+) (SHA256:\S+)")
_ACCEPTED = re.compile(r"Server accepts key: .+? (SHA256:\S+)")
_CAN_CONTINUE = re.compile(r"Authentications that can continue: (\S+)")
_WANTED = re.compile(r"channel_connect_stdio_fwd:? (.*)")
_NEW_FORWARD = re.compile(r"channel (\d+): new (?:\[?stdio-forward\]?)")
_NOT_OPENED = re.compile(r"channel (\d+): open failed: (.*)")
_MOST_LINES = 64


@dataclass
class WayLog:
    """What one ``ssh`` process has said so far; its reader feeds it, others wait for it.

    ``lines`` are its words that are no debug messages, ``offered`` the keys that it offered, as their
    file's path and their fingerprint, ``methods`` what the server last said that it takes.
    """

    step: int = CONNECT
    ended: bool = False
    host_key: str | None = None
    accepted: str | None = None
    methods: str = ""
    partial: bool = False
    lines: list[str] = field(default_factory=list)
    offered: list[tuple[str, str]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    _wanted: str = ""
    _of_channel: dict[str, str] = field(default_factory=dict)
    _refusals: Counter[str] = field(default_factory=Counter)
    _words: dict[str, str] = field(default_factory=dict)

    def feed(self, line: str) -> str | None:
        """Take one line. Returns: the line where a person should see it, ``None`` for debug messages."""
        with self.changed:
            debug, said = line.startswith("debug"), line
            if debug:
                said = line.partition(": ")[2]
                self._note(said)
            elif (not_opened := _NOT_OPENED.fullmatch(line)) is not None:
                target = self._of_channel.pop(not_opened[1], "")
                self._words[target] = not_opened[2]
                self._refusals[target] += 1
                debug = True
            elif line.strip() and not line.startswith("Authenticated to "):
                self.lines = [*self.lines, one_line(line)][-_MOST_LINES:]
            self.changed.notify_all()
        return None if debug else line

    def end(self) -> None:
        """Note that nothing more comes."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def passed(self, step: int) -> bool:
        """Wait until the login has come further than ``step``; false where the process ended before."""
        with self.changed:
            self.changed.wait_for(lambda: self.step > step or self.ended)
            return self.step > step

    def refusals(self, host: str, port: int) -> int:
        """Count the streams to a target that were refused so far."""
        with self.changed:
            return self._refusals[f"{host}:{port}"]

    def why_refused(self, host: str, port: int, after: int, patience_s: float) -> str:
        """Give the words with which a stream to a target was refused, after so many others to it."""
        target = f"{host}:{port}"
        with self.changed:
            self.changed.wait_for(lambda: self.ended or self._refusals[target] > after, patience_s)
            return self._words.get(target, "")

    def says(self, words: str) -> str | None:
        """Give the last line that has such words, a regular expression."""
        return next((line for line in reversed(self.lines) if re.search(words, line)), None)

    def _note(self, said: str) -> None:
        for pattern, step in _STEPS:
            if pattern.fullmatch(said):
                self.step = max(self.step, step)
        if (found := _HOST_KEY.match(said)) is not None:
            self.host_key = found[2]
        elif (found := _OFFERED.match(said)) is not None:
            self.offered.append((found[1], found[3]))
        elif (found := _ACCEPTED.match(said)) is not None:
            self.accepted = found[1]
        elif (found := _CAN_CONTINUE.match(said)) is not None:
            self.methods = found[1]
        elif said.startswith("Authenticated using") and "partial success" in said:
            self.partial = True
        elif (found := _WANTED.fullmatch(said)) is not None:
            self._wanted = found[1]
        elif (found := _NEW_FORWARD.match(said)) is not None:
            self._of_channel[found[1]] = self._wanted
