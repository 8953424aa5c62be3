"""What a person sees while a command is at work: a line a stage, with counts per state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from clusterboot import interrupts
from clusterboot.errors import HostKeySeen, Status
from clusterboot.printable import one_line

from .ending import say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from clusterboot.programs.records import Row

_STYLES = {"ok": "green", "failed": "red", "unreachable": "red", "untrusted": "bold red", "skipped": "dim"}


class Terminal:
    """Shows a flow's events on a console: moving on a terminal, one plain line a stage elsewhere.

    Parameters: ``console`` is standard error's for progress, so that standard output has
    results alone; ``results`` is standard output's, for benchmark rows, ``None`` with ``--json``;
    without ``moving`` a terminal too gets a plain line a stage.
    """

    def __init__(self, console: Console, results: Console | None, *, moving: bool = True) -> None:
        self._console = console
        self._results = results
        self._moving = moving
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._title, self._count = "", 0
        self._counts: Counter[str] = Counter()
        self._collective: str | None = None

    def stage(self, title: str, count: int) -> None:
        """Begin a line for a stage on so many hosts, or with so many logins."""
        self.finish()
        self._title, self._count, self._counts = title, count, Counter()
        if self._moving and self._console.is_terminal and count:
            self._progress = _progress(self._console)
            self._progress.start()
            self._task = self._progress.add_task(title, total=count, states="")

    def done(self, status: Status, count: int = 1) -> None:
        """Count what became of one host or login in the running stage, or of several alike."""
        self._counts[status] += count
        if self._progress is not None and self._task is not None:
            states = " ".join(f"[{_STYLES[state]}]{each} {state}[/]" for state, each in self._counts.items())
            self._progress.update(self._task, advance=count, states=states)

    def finish(self, *, dropped: bool = False) -> None:
        """End the running stage's line, if there is one; take it away where it is ``dropped``."""
        if self._progress is not None:
            self._progress.live.transient = dropped
            self._progress.stop()
            self._progress = None
        elif self._title and not dropped:
            mark = "[green]✓[/] " if self._console.is_terminal else ""
            told = _plain_states(self._counts, self._count)
            self._console.print(f"{mark}{self._title}: {told}", highlight=False, soft_wrap=True)
        self._title = ""

    def note(self, line: str) -> None:
        """Print one line for a person."""
        self.finish()
        say(self._console, Text(line))

    def bench(self, what: str) -> None:
        """Say what runs, before its first row."""
        self.finish()
        self._collective = None
        if self._results is not None:
            say(self._results, Text(what, style="bold"))

    def row(self, collective: str, row: Row) -> None:
        """Print a benchmark row; a new collective gets a head of its own."""
        # Imported with the first row: only benchmarks have any.
        from . import benchmark as bench

        if self._results is None:
            return
        if collective != self._collective:
            self._collective = collective
            for line in bench.head(collective, row):
                self._results.print(Text(line, style="bold"))
        self._results.print(Text(bench.line(row)), style="red" if bench.is_wrong(row) else "")

    def ask(self, unknown: Sequence[HostKeySeen]) -> bool:
        """Show all unknown host keys in one table and ask once whether they are taken."""
        from rich.table import Table

        title, count = self._title, self._count
        self.finish(dropped=True)
        table = Table("host", "key", box=None, pad_edge=False)
        # A fingerprint that is cut short cannot be compared.
        table.add_column("fingerprint", no_wrap=True, min_width=max(len(key.fingerprint) for key in unknown))
        for key in unknown:
            table.add_row(key.host, key.key_type.removeprefix("ssh-"), key.fingerprint)
        self._console.print("Unknown host keys:")
        self._console.print(table)
        with interrupts.at_once():
            answer = self._console.input(
                "Compared with the machines' own, are they right? Pin them all? \\[y/N] "
            )
        if title:
            self.stage(title, count)
        return answer.strip().lower() in ("y", "yes")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away for a block, in which ``ssh`` may ask a person at the terminal."""
        title, count = self._title, self._count
        self.finish(dropped=True)
        try:
            yield
        finally:
            if title:
                self.stage(title, count)

    def told(self, line: str) -> None:
        """Show what a server has for the person who logs in to it."""
        self._console.print(one_line(line), markup=False, highlight=False)


def _progress(console: Console) -> Progress:
    # Imported where something moves: a command in a pipe starts the sooner.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[states]}"),
        console=console,
    )


def _plain_states(counts: Counter[str], total: int) -> str:
    """Say it without a bar: ``8 of 8 ok``, or ``6 of 8 ok, 1 failed, 1 unreachable``."""
    if not counts:
        return "none needed"
    failed = [f"{count} {state}" for state, count in counts.items() if state != "ok"]
    return ", ".join([f"{counts['ok']} of {total} ok", *failed])
