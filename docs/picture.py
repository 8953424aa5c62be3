"""Make terminal.svg from a real run: an 8-node lab, bootstrapped and benchmarked.

Run from the project's folder, with the project installed, as root: ``python docs/picture.py``.
Needs tmux, which draws the screen as a terminal would; Rich turns that into a picture.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

LAB = "picture"
COLUMNS = 84
LINES = 56
SHOWN = (
    "invoke bootstrap --cluster lab",
    "invoke nccl-test --cluster lab --collective sendrecv -b 64K -e 16M -f 4",
)


def tmux(*args: str, environment: dict[str, str]) -> str:
    """Give what a tmux command of this picture's own server prints."""
    command = ["tmux", "-L", LAB, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def screen_of(environment: dict[str, str]) -> str:
    """Run what is shown in a terminal, and give its last screen with its colours."""
    typed = "; ".join(f"echo '$ {line}'; {line}" for line in SHOWN)
    script = f"clear; {typed}; tmux -L {LAB} wait-for -S done; cat"
    size = ("-x", str(COLUMNS), "-y", str(LINES))
    tmux("new-session", "-d", *size, "sh", "-c", script, environment=environment)
    try:
        tmux("wait-for", "done", environment=environment)
        return tmux("capture-pane", "-e", "-p", environment=environment)
    finally:
        tmux("kill-server", environment=environment)


def main() -> None:
    """Start a lab of the picture's own, take the picture, and take the lab away."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CLUSTERBOOT_LAB_ROOT": f"{folder}/labs",
            "XDG_STATE_HOME": f"{folder}/state",
        }
        subprocess.run(["invoke", "lab.up"], check=True, env=environment)
        try:
            screen = screen_of(environment)
        finally:
            subprocess.run(["invoke", "lab.down"], check=True, env=environment)
    text = Text.from_ansi(screen.replace(str(Path.cwd()), "~/clusterboot").rstrip("\n"))
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(text)
        svg = console.export_svg(title="clusterboot")
    Path("docs/terminal.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
