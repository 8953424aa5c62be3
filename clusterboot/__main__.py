"""``clusterboot`` and ``python -m clusterboot``: an interrupt counts from the first import on."""

from __future__ import annotations

import os
import sys

from clusterboot import interrupts
from clusterboot.errors import ExitCode


def main() -> None:
    """Run the ``clusterboot`` command."""
    try:
        with interrupts.listening():
            from clusterboot.tasks import main as run

            try:
                run()
            finally:
                sys.stdout.flush()
    except BrokenPipeError:
        # A page of help that nobody reads on, as under head(1), is no fault.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise SystemExit(int(ExitCode.INTERRUPTED)) from None


if __name__ == "__main__":
    main()
