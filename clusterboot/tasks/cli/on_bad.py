"""What the operator has run where a result is bad: a mail, a webhook, a ticket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

# A mail server that does not answer must not keep a nightly run from ending.
LIMIT_S = 60.0


def run_on_bad(command: str, document: str, *, limit_s: float = LIMIT_S) -> str | None:
    """Run the operator's own shell command with a result on its standard input.

    What it prints goes to standard error: standard output is the result's. At the end of
    ``limit_s`` seconds it is ended, with all that it started.
    Parameters: the command, as ``sh -c`` takes it; the result's JSON document.
    Returns: what went wrong with it, ``None`` where nothing did.
    """
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        return f"--on-bad cannot be run: {problem}"
    with process:
        try:
            process.communicate(document.encode(), timeout=limit_s)
        except subprocess.TimeoutExpired:
            return f"--on-bad was ended: it still ran after {limit_s:.3g} s"
        finally:
            # Also where an interrupt ends the wait, nothing of it goes on.
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    code = process.returncode
    return f"--on-bad ended with exit status {code}" if code else None
