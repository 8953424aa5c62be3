"""What each format says of a run beside its figures: which one it was, how it ended, on which hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from clusterboot.errors import HostResult
from clusterboot.headline import Ending, Headline, headline


@dataclass(frozen=True)
class About:
    """A run, without its figures. ``started`` is RFC 3339, empty where nothing was started."""

    command: str
    exit_code: int = 0
    ending: Ending = field(default_factory=Ending)
    hosts: tuple[HostResult, ...] = ()
    cluster: str | None = None
    started: str = ""
    duration_s: float | None = None
    backend: str | None = None
    next_step: str | None = None

    @property
    def headline(self) -> Headline:
        """What it came to."""
        return headline(self.hosts, self.exit_code, self.ending)

    @property
    def started_s(self) -> float | None:
        """When it began, in seconds since 1970; ``None`` where that is not known."""
        try:
            return datetime.fromisoformat(self.started.replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError):
            return None

    def words(self) -> Iterator[tuple[str, str]]:
        """Give what is known of the run by its name, each as text."""
        yield "command", self.command
        if self.cluster is not None:
            yield "cluster", self.cluster
        if self.started:
            yield "started", self.started
        if self.duration_s is not None:
            yield "duration_s", f"{self.duration_s:.3f}"
        if self.backend:
            yield "backend", self.backend
        yield "exit_code", str(int(self.exit_code))
        yield "headline", self.headline.text
        if self.next_step:
            yield "next", self.next_step
