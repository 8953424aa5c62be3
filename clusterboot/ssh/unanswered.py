"""What is wrong where a script's answer is none: the start-up files, the account, or the machine."""

from __future__ import annotations

from clusterboot.errors import ClusterbootError, PartialError, Stage, UnreachableError
from clusterboot.inventory.cluster import Login
from clusterboot.nodes.collector import MAX_OUTPUT_BYTES
from clusterboot.nodes.watchdog import DeadlineError
from clusterboot.printable import one_line

from .retry import TurnedAwayError
from .wire import PROHIBITED, ChannelRefusedError


def refused_session(name: str, refusal: ChannelRefusedError) -> ClusterbootError:
    """Say that a host's sshd opened no session; where it has no room just now, another try may do better."""
    kind = UnreachableError if refusal.code == PROHIBITED else TurnedAwayError
    return kind(
        f"sshd refused a session: {one_line(refusal.text) or 'no reason given'}",
        host=name,
        stage="channel",
        remedy="look at MaxSessions in sshd_config there, and at its memory and processes",
    )


def lost(name: str, stage: Stage) -> ClusterbootError:
    """Say that the connection to a host ended while it was in use."""
    return UnreachableError(
        "the connection was lost",
        host=name,
        stage=stage,
        remedy="check the machine and the way to it, then run the command again",
    )


def silent(name: str, stage: Stage, late: DeadlineError) -> ClusterbootError:
    """Say that a host's time was up before its answer was whole."""
    return UnreachableError(
        f"no answer {late.words}",
        host=name,
        stage=stage,
        remedy="the machine may be frozen or overloaded; log in there and look",
    )


def too_much(name: str, stage: Stage) -> ClusterbootError:
    """Say that a host's answer had no end."""
    return PartialError(
        f"printed more than {MAX_OUTPUT_BYTES >> 20} MiB",
        host=name,
        stage=stage,
        remedy="look at the shell's start-up files there",
    )


def nothing_begun(name: str, late: DeadlineError) -> ClusterbootError:
    """Say that a host's time was up before a script's first word came."""
    return UnreachableError(
        f"the login shell began nothing {late.words}",
        host=name,
        stage="channel",
        remedy="log in there and look: the machine may be frozen, or a start-up file hang or wait for input",
    )


def refused_stream(login: Login, gateway: Login, words: str, *, own: bool) -> UnreachableError:
    """Say why a gateway opened no stream to a host.

    Parameters: ``words`` are those of ``channel N: open failed`` (``channel_input_open_failure()`` and
    ``reason2txt()`` in channels.c); without ``own`` they are in the log of a master that the user opened.
    """
    text = one_line(words) or ("refused" if own else "refused, and the ssh master that you opened keeps why")
    if text.startswith("administratively prohibited"):
        return UnreachableError(
            # Without the host's own name: a thousand hosts behind one such head are one line.
            f"{gateway.place} does not allow forwarding to port {login.port} of this host",
            host=login.place,
            stage="gateway",
            remedy=f"on {gateway.place}, set AllowTcpForwarding yes (and check PermitOpen) in sshd_config",
        )
    text = text.removeprefix("connect failed: ")
    if text.startswith("resource shortage"):
        return TurnedAwayError(
            f"{gateway.place} has no room for another forwarded connection: {text}",
            host=login.place,
            stage="gateway",
            remedy=f"look at memory and open files on {gateway.place}, or use a smaller --fanout",
        )
    unresolved = any(words in text for words in ("not known", "resol", "associated with hostname"))
    return UnreachableError(
        f"{gateway.place} cannot reach port {login.port}: {text}",
        host=login.place,
        stage="resolve" if unresolved else "connect",
        remedy=f"check that {gateway.place} knows the name"
        if unresolved
        else "check that the machine is up and sshd runs on that port",
    )
