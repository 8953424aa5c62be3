"""What is wrong where a script's answer is none: the start-up files, the account, or the machine."""

from __future__ import annotations

from clusterboot.errors import ClusterbootError, PartialError, Stage, UnreachableError
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
