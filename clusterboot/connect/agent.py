"""The operator's ssh-agent: found where OpenSSH finds it, and safe to use from many threads."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

import paramiko
from paramiko.agent import SSH2_AGENT_SIGN_RESPONSE, AgentKey, AgentSSH, cSSH2_AGENTC_SIGN_REQUEST

# The agent may ask its own user first (ssh-add -c); the login's deadline ends before that.
_ANSWER_WITHIN_S = 15.0


class AgentError(paramiko.SSHException):
    """The agent would not, or could not any more, sign."""


class LockedAgent(AgentSSH):
    """A connection to an agent on which one question at a time is asked.

    Paramiko's own has no lock, and knows no socket but ``$SSH_AUTH_SOCK``'s.
    Parameters: the socket's path. Errors: ``OSError`` or ``paramiko.SSHException`` where no
    agent answers there.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._lock = threading.Lock()
        conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            conn.settimeout(_ANSWER_WITHIN_S)
            conn.connect(path)
            self._connect(conn)  # type: ignore[attr-defined]
        except BaseException:
            conn.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()  # type: ignore[attr-defined]

    def _send_message(self, msg: bytes) -> tuple[int, paramiko.Message]:
        signing = bytes(paramiko.util.asbytes(msg))[:1] == cSSH2_AGENTC_SIGN_REQUEST  # type: ignore[call-overload]
        with self._lock:
            if self._conn is None:  # type: ignore[has-type]
                raise AgentError("ssh-agent is gone")
            try:
                kind, answer = super()._send_message(msg)  # type: ignore[misc]
            except (OSError, paramiko.SSHException):
                # Half an answer may be on its way; nothing sent after it would be understood.
                self._conn.close()  # type: ignore[has-type]
                self._conn = None
                raise AgentError("ssh-agent does not answer") from None
        if signing and kind != SSH2_AGENT_SIGN_RESPONSE:
            raise AgentError("ssh-agent refused to sign")
        return kind, answer


class Agents:
    """The agents of one command, each connected to once."""

    def __init__(self) -> None:
        self._open: dict[str, LockedAgent | None] = {}

    def keys(self, identity_agent: str | None) -> tuple[AgentKey, ...]:
        """List an agent's keys: of the socket that ``identity_agent`` names, ``None`` for ``$SSH_AUTH_SOCK``.

        Returns: none for ``none``, and where no agent answers: OpenSSH, too, goes on without.
        """
        path = os.environ.get("SSH_AUTH_SOCK", "") if identity_agent is None else identity_agent
        if path in ("", "none"):
            return ()
        if path not in self._open:
            self._open[path] = None
            with suppress(OSError, paramiko.SSHException, UnicodeError, ValueError):
                self._open[path] = LockedAgent(path)
        agent = self._open[path]
        return agent.get_keys() if agent is not None else ()

    def close(self) -> None:
        """Close every connection."""
        for agent in self._open.values():
            if agent is not None:
                agent.close()
        self._open.clear()
