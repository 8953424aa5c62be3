"""What every flow starts from: the cluster, how it is to be reached, and where things are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from clusterboot import files, interrupts
from clusterboot.errors import ClusterbootError, InterruptedVisit, UsageError
from clusterboot.inventory.cluster import Cluster
from clusterboot.nodes.sessions import Nodes
from clusterboot.scrub import Scrubber

from .events import Events, Silence
from .lock import alone
from .over_ssh import over_ssh
from .visit import Ledger, Visit


@dataclass(frozen=True)
class Context:
    """One command's cluster and its options.

    ``state_dir`` is the operator's folder for this cluster; hostfiles and results go below
    ``out_dir``. ``deadline_s`` bounds the whole command. ``ask_passphrase`` is ``None`` where
    there is no terminal; the same is said of host keys by ``interactive``.
    With ``wait`` a measurement waits for another's end on its nodes.
    With ``encrypt_keys`` a key that the operator's machine keeps is made with a passphrase.
    ``reach`` opens the way to the nodes for a block: over SSH, or another one with sessions. ``command`` is
    what a job of Slurm's is called by.
    """

    cluster: Cluster
    state_dir: Path
    out_dir: Path
    events: Events = field(default_factory=Silence)
    accept_new: bool = False
    dry_run: bool = False
    fanout: int | None = None
    deadline_s: float | None = None
    interactive: bool = False
    wait: bool = False
    ask_passphrase: Callable[[Path], str] | None = None
    encrypt_keys: bool = False
    started_s: float = field(default_factory=time.time)
    reach: Callable[[Context], AbstractContextManager[Nodes]] = over_ssh
    command: str = ""

    @property
    def started(self) -> str:
        """When the command began, as ``2026-01-01T00:00:00Z``."""
        return datetime.fromtimestamp(self.started_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def hostfile_dir(self) -> Path:
        """Where this cluster's hostfiles are."""
        return self.out_dir / "hostfiles" / self.cluster.name

    @property
    def scrubber(self) -> Scrubber:
        """What takes secrets out of all that is kept or printed, the values of the file's ``env`` too."""
        return Scrubber.of(self.cluster.env)

    @property
    def result_dir(self) -> Path:
        """Where this cluster's results are, one folder a run."""
        return self.out_dir / "results" / self.cluster.name

    def require_own_folders(self) -> None:
        """Make the folder for state, and see that nobody else can write where this command will.

        Errors: :class:`UsageError` for a folder that somebody else owns or can write.
        """
        try:
            files.make_private_folder(self.state_dir)
        except files.UnsafePathError as problem:
            raise _not_own(self.state_dir, problem.strerror) from None
        except OSError as problem:
            raise UsageError(
                f"{self.state_dir} cannot be written: {problem.strerror}",
                remedy="mend its permissions, or name another place with XDG_STATE_HOME",
            ) from None
        for folder in (self.hostfile_dir, self.result_dir):
            for each in (folder.parent, folder):
                if (cause := files.obstacle(each)) is not None:
                    raise _not_own(each, cause)

    @contextmanager
    def visit(self, *, changes: bool = False) -> Iterator[Visit]:
        """Open the way to the cluster; it is closed, with everything on it, at the end of the block.

        Nothing is contacted before the first stage. Parameters: with ``changes`` no other command
        that changes the cluster runs from this machine meanwhile; a dry run needs no such lock.
        Errors: :class:`ClusterbootError` where the audit log cannot be written.
        """
        with alone(self.state_dir, self.events) if changes and not self.dry_run else nullcontext():
            self.require_own_folders()
            with interrupts.noted_only(), self.reach(self) as nodes:
                cluster = replace(self.cluster, hosts=nodes.source.hosts())
                ledger = Ledger(host.name for host in cluster.hosts)
                try:
                    yield Visit(
                        cluster,
                        self.events,
                        nodes,
                        ledger,
                        self.state_dir,
                        dry_run=self.dry_run,
                        again=lambda deadline_s: replace(self, deadline_s=deadline_s).visit(),
                    )
                except ClusterbootError as error:
                    error.hosts = error.hosts or ledger.rows
                    raise
                except KeyboardInterrupt:
                    raise InterruptedVisit(ledger.unfinished("interrupted before it was done")) from None


def _not_own(folder: Path, cause: str | None) -> UsageError:
    return UsageError(
        f"{folder} is not written to: {cause}",
        remedy="take it over with chown and chmod go-w, or remove it if it is nobody's you know",
    )
