"""The operator's ssh-agent: found where OpenSSH finds it, and safe to use from many threads."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import paramiko
from paramiko.agent import SSH2_AGENT_SIGN_RESPONSE, AgentKey, AgentSSH, cSSH2_AGENTC_SIGN_REQUEST

from clusterboot.printable import one_line

# A list of keys waits for nobody; before it signs, an agent may ask its own user (ssh-add -c). Both
# are shorter than a login's deadline, so that an agent that hangs is told from a machine that does.
_LIST_WITHIN_S = 5.0
_SIGN_WITHIN_S = 12.0

# Cuts a wait of so many seconds to what the whole command's deadline leaves.
AllowS = Callable[[float], float]


class AgentError(paramiko.SSHException):
    """The agent would not, or could not any more, sign."""


class LockedAgent(AgentSSH):
    """A connection to an agent on which one question at a time is asked.

    Paramiko's own has no lock, and knows no socket but ``$SSH_AUTH_SOCK``'s.
    Parameters: the socket's path; ``allow_s`` cuts waits to the time that is left. Errors:
    ``OSError`` or ``paramiko.SSHException`` where no agent answers there.
    """

    def __init__(self, path: str, allow_s: AllowS) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._allow_s = allow_s
        self._socket = conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            conn.settimeout(self._patience_s(_LIST_WITHIN_S))
            conn.connect(path)
            self._connect(conn)  # type: ignore[attr-defined]
        except BaseException:
            conn.close()
            raise

    def close(self) -> None:
        """Close the connection; whoever waits for an answer waits no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._close()  # type: ignore[attr-defined]

    def _send_message(self, msg: bytes) -> tuple[int, paramiko.Message]:
        signing = bytes(paramiko.util.asbytes(msg))[:1] == cSSH2_AGENTC_SIGN_REQUEST  # type: ignore[call-overload]
        with self._lock:
            if self._conn is None:  # type: ignore[has-type]
                raise AgentError("ssh-agent is gone")
            try:
                self._socket.settimeout(self._patience_s(_SIGN_WITHIN_S if signing else _LIST_WITHIN_S))
                kind, answer = super()._send_message(msg)  # type: ignore[misc]
            except (OSError, paramiko.SSHException):
                # Half an answer may be on its way; nothing sent after it would be understood.
                self._conn.close()  # type: ignore[has-type]
                self._conn = None
                raise AgentError("ssh-agent does not answer") from None
        if signing and kind != SSH2_AGENT_SIGN_RESPONSE:
            raise AgentError("ssh-agent refused to sign")
        return kind, answer

    def _patience_s(self, wait_s: float) -> float:
        # Less than is left: what hangs is to be named before the deadline, which would name another.
        return max(0.01, min(wait_s, 0.8 * self._allow_s(wait_s)))


class Agents:
    """The agents of one command, each connected to once.

    Parameters: ``allow_s`` as for :class:`LockedAgent`.
    """

    def __init__(self, allow_s: AllowS) -> None:
        self._allow_s = allow_s
        self._open: dict[str, LockedAgent | None] = {}
        self._silent: dict[str, str] = {}

    def keys(self, identity_agent: str | None) -> tuple[AgentKey, ...]:
        """List an agent's keys: of the socket that ``identity_agent`` names, ``None`` for ``$SSH_AUTH_SOCK``.

        Returns: none for ``none``, and where no agent answers: OpenSSH, too, goes on without.
        """
        path = _path(identity_agent)
        if path in ("", "none"):
            return ()
        if path not in self._open:
            self._open[path] = None
            try:
                self._open[path] = LockedAgent(path, self._allow_s)
            except (OSError, paramiko.SSHException, UnicodeError, ValueError) as problem:
                why = getattr(problem, "strerror", None)
                self._silent[path] = f"no ssh-agent answers at {one_line(path)}" + (f": {why}" if why else "")
        agent = self._open[path]
        return agent.get_keys() if agent is not None else ()

    def silence(self, identity_agent: str | None) -> str:
        """Say why no agent answered when its keys were asked for; empty where one did, or none was named."""
        return self._silent.get(_path(identity_agent), "")

    def close(self) -> None:
        """Close every connection."""
        for agent in self._open.values():
            if agent is not None:
                agent.close()
        self._open.clear()


def _path(identity_agent: str | None) -> str:
    return os.environ.get("SSH_AUTH_SOCK", "") if identity_agent is None else identity_agent
