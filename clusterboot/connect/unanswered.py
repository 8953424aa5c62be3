"""What is wrong where a script's answer is none: the start-up files, the account, or the machine."""

from __future__ import annotations

from clusterboot.connect.script import Answer
from clusterboot.connect.watchdog import DeadlineError
from clusterboot.errors import ClusterbootError, PartialError, Stage, UnreachableError
from clusterboot.printable import one_line

# Source: do_nologin() in OpenSSH's session.c.
_NOLOGIN_STATUS = 254


def nothing_begun(name: str, late: DeadlineError) -> ClusterbootError:
    """Say that a host's time was up before a script's first word came."""
    return UnreachableError(
        f"the login shell began nothing {late.words}",
        host=name,
        stage="channel",
        remedy="log in there and look: the machine may be frozen, or a start-up file hang or wait for input",
    )


def cut_off(name: str, stage: Stage, code: int | None, answer: Answer, stderr: bytes) -> ClusterbootError:
    """Say why an answer ended before it was complete."""
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
