"""``clusterboot`` and ``python -m clusterboot``: an interrupt counts from the first import on."""

from __future__ import annotations

from clusterboot import interrupts
from clusterboot.errors import ExitCode


def main() -> None:
    """Run the ``clusterboot`` command."""
    try:
        with interrupts.listening():
            from clusterboot.tasks import main as run

            run()
    except KeyboardInterrupt:
        raise SystemExit(int(ExitCode.INTERRUPTED)) from None


if __name__ == "__main__":
    main()
