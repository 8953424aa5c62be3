"""Sessions on the nodes of a job: a question to all of them is one step, whatever their number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from clusterboot.errors import ClusterbootError, PartialError, Stage, UnreachableError
from clusterboot.inventory.cluster import Host, Login
from clusterboot.inventory.nodesource import NodeSource
from clusterboot.nodes.asking import Asking
from clusterboot.nodes.fanout import on_hosts
from clusterboot.nodes.lines import OnLine
from clusterboot.nodes.payload import Payload
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import new_nonce
from clusterboot.nodes.sessions import Beat, OnBytes, Session
from clusterboot.nodes.watchdog import DeadlineError, Watchdog
from clusterboot.printable import one_line
from clusterboot.ssh.transport import Timeouts
from clusterboot.ssh.unanswered import silent, too_much

from .argv import node_script, step, step_script
from .gathering import Gathering, Pending
from .job import HeldJob
from .labels import LabelledOutput, exit_codes

T = TypeVar("T")
# The login node's own limit, where the step's has failed to end it.
_LATER_S = 30.0


class SlurmNodes:
    """Sessions on the nodes of a job; it is a :class:`clusterboot.nodes.sessions.Nodes`.

    Parameters: the hosts; the session on the login node; the job, ``None`` where no host can be in one;
    why hosts are not in it; what ends waits.
    """

    def __init__(
        self,
        source: NodeSource,
        login: Session,
        job: HeldJob | None,
        out: Mapping[str, ClusterbootError],
        watchdog: Watchdog,
    ) -> None:
        self.source, self.watchdog = source, watchdog
        self._login, self._job, self._out = login, job, out
        self._gathered = threading.local()
        self._running: set[Session] = set()
        self._lock = threading.Lock()

    def each(
        self,
        hosts: Iterable[Host],
        work: Callable[[Session], T],
        on_done: Callable[[Host, T | ClusterbootError], None] | None = None,
    ) -> dict[str, T | ClusterbootError]:
        """Do ``work`` on every host; what they ask their nodes at one time is one step."""
        hosts = list(hosts)
        gathering = Gathering(self._answer, len(hosts))

        def one(host: Host) -> T:
            self._gathered.here = gathering
            try:
                return work(self.session(host))
            finally:
                self._gathered.here = None
                gathering.leave()

        # A thread a host: one that has not begun would keep the others' step waiting.
        return on_hosts(hosts, one, on_done, fanout=len(hosts), interrupted=self.close)

    def session(self, host: Host) -> SlurmSession:
        """Give a session on the host's node.

        Errors: why the node is not in the job.
        """
        if host.name in self._out:
            raise self._out[host.name]
        return SlurmSession(host.name, self)

    def host_keys(self, login: Login) -> tuple[bytes, ...]:  # noqa: ARG002
        """Give none: nothing logs in to a node."""
        return ()

    def close(self) -> None:
        """End what runs on the nodes, and all waits."""
        self.watchdog.stop()
        with self._lock:
            running = list(self._running)
        for session in running:
            session.abort()

    def ask(self, pending: Pending) -> object:
        """Have a question answered, together with those of the other threads of its stage."""
        gathering: Gathering | None = getattr(self._gathered, "here", None)
        return (gathering or Gathering(self._answer, 1)).ask(pending)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Let the other threads of a stage go on by themselves for a block."""
        gathering: Gathering | None = getattr(self._gathered, "here", None)
        if gathering is None:
            yield
            return
        gathering.leave()
        try:
            yield
        finally:
            gathering.join()

    def run_step(
        self,
        nodes: Sequence[str],
        script: str,
        receivers: tuple[OnBytes, OnBytes],
        stage: Stage,
        timeout_s: float,
        *,
        labelled: bool,
        label: str,
        running: Callable[[Session], object] = lambda _session: None,
        hold_stdin: bool = True,
        beat: Beat | None = None,
        payload: Payload | None = None,
    ) -> int | None:
        """Run one step. Returns: its exit status. Errors: ``DeadlineError``, and those of the login node."""
        assert self._job is not None  # noqa: S101  # there is no session without one
        text = step_script(step(self._job.number, nodes, labelled=labelled), script).encode(
            "utf-8", "surrogateescape"
        )
        with self._login.beside() as line:
            with self._lock:
                self._running.add(line)
            running(line)
            try:
                with self.watchdog.limit(timeout_s, line.abort):
                    return line.stream(
                        text,
                        *receivers,
                        stage,
                        timeout_s=timeout_s + _LATER_S,
                        hold_stdin=hold_stdin,
                        beat=beat,
                        payload=payload,
                        label=label,
                    )
            finally:
                with self._lock:
                    self._running.discard(line)

    def in_order(self, nodes: Iterable[str]) -> list[str]:
        """Give nodes in the order in which Slurm numbers a step's tasks."""
        assert self._job is not None  # noqa: S101  # there is no session without one
        place = {name: at for at, name in enumerate(self._job.nodes)}
        return sorted(nodes, key=lambda name: place.get(name, len(place)))

    def why_ended(self) -> ClusterbootError | None:
        """Say why the job is over, where it is."""
        return self._job.why_ended() if self._job else None

    def _answer(self, batch: Sequence[Pending]) -> None:
        """Ask a batch of questions in one step, and give each its outcome."""
        by_name = {pending.name: pending for pending in batch}
        if len(by_name) < len(batch):
            # Two questions to one node: one after the other.
            self._answer(list(by_name.values()))
            self._answer([pending for pending in batch if by_name[pending.name] is not pending])
            return
        nodes = self.in_order(by_name)
        pendings = [by_name[name] for name in nodes]
        # Nodes that are asked the same read one script.
        nonces = {pending.question.sections: new_nonce() for pending in pendings}
        askings = [
            Asking(each.question, each.on_line, nonce=nonces[each.question.sections]) for each in pendings
        ]
        stdout = LabelledOutput([asking.stdout for asking in askings])
        stderr = LabelledOutput([asking.stderr for asking in askings])
        text = node_script(nodes, [asking.script.decode("utf-8", "surrogateescape") for asking in askings])
        stage, label = pendings[0].question.stage, pendings[0].question.on_record
        failure: ClusterbootError | DeadlineError | None = None
        ended: ClusterbootError | None = None
        try:
            timeout_s = max(self._allowed_s(each.question) for each in pendings)
            status = self.run_step(
                nodes, text, (stdout, stderr), stage, timeout_s, labelled=True, label=label
            )
            if status or not all(asking.stdout.told_all for asking in askings):
                ended = self.why_ended()
        except (ClusterbootError, DeadlineError) as error:
            failure = error
        codes = exit_codes(stderr.words)
        for task, (pending, asking) in enumerate(zip(pendings, askings, strict=True)):
            try:
                if task in stdout.overflowed | stderr.overflowed:
                    raise too_much(pending.name, pending.question.stage)
                # Where a job's end killed a script's command, the script itself may have gone on to its
                # end: no answer of such a step is believed.
                if ended is not None or not asking.stdout.told_all:
                    _raise(pending, failure, ended, stderr.words, begun=asking.stdout.begun)
                pending.outcome = asking.answer(pending.name, codes.get(task, 0))
            except ClusterbootError as error:
                pending.outcome = error

    def _allowed_s(self, question: Question[object]) -> float:
        timeout_s = Timeouts.command_s if question.timeout_s is None else question.timeout_s
        return timeout_s if question.whole else self.watchdog.share_s(timeout_s)


def _raise(
    pending: Pending,
    failure: ClusterbootError | DeadlineError | None,
    ended: ClusterbootError | None,
    words: Sequence[str],
    *,
    begun: bool,
) -> None:
    """Say why a node gave no whole answer, where that is not its own script's doing."""
    name, stage = pending.name, pending.question.stage
    if isinstance(failure, DeadlineError):
        raise silent(name, stage, failure)
    if failure is not None or ended is not None:
        raise _of(name, failure or ended)
    if not begun:
        said = one_line("; ".join(words).encode())
        raise UnreachableError(
            f"the step did not start there{f': {said}' if said else ''}",
            host=name,
            stage="channel",
            remedy="look at slurmd's log there",
        )


def _of(name: str, error: ClusterbootError | None) -> ClusterbootError:
    """Say of a node what is true of all: an error that is shared has no host of its own."""
    assert error is not None  # noqa: S101  # the caller has one
    kind = PartialError if isinstance(error, PartialError) else UnreachableError
    cause = f"{error.host}: {error.cause}" if error.host else error.cause
    return kind(cause, host=name, stage=error.stage, remedy=error.remedy)


class SlurmSession:
    """Scripts on one node of a job; it is a :class:`clusterboot.nodes.sessions.Session`."""

    def __init__(self, name: str, nodes: SlurmNodes) -> None:
        self.name = name
        self._nodes = nodes
        self._running: Session | None = None

    @property
    def host_key_blob(self) -> bytes:
        """None: Slurm vouches for its nodes."""
        return b""

    def ask(self, question: Question[T], on_line: OnLine | None = None) -> T:
        """Run the question's script in a step, with those of the other nodes, and read the whole reply."""
        answer: T = self._nodes.ask(Pending(self.name, question, on_line))  # type: ignore[assignment]
        return answer

    def stream(
        self,
        text: bytes,
        on_stdout: OnBytes,
        on_stderr: OnBytes,
        stage: Stage,
        *,
        timeout_s: float | None = None,
        hold_stdin: bool = False,
        beat: Beat | None = None,
        payload: Payload | None = None,
        label: str = "stream",
    ) -> int | None:
        """Feed ``text`` to a shell in a step of this node alone, and pass on what comes back."""
        script = node_script([self.name], [text.decode("utf-8", "surrogateescape")])
        allowed_s = Timeouts.command_s if timeout_s is None else timeout_s
        try:
            with self._nodes.apart():
                return self._nodes.run_step(
                    [self.name],
                    script,
                    (on_stdout, on_stderr),
                    stage,
                    allowed_s,
                    labelled=False,
                    label=label,
                    running=self._begin,
                    hold_stdin=hold_stdin,
                    beat=beat,
                    payload=payload,
                )
        except DeadlineError as late:
            raise silent(self.name, stage, late) from None
        except ClusterbootError as error:
            raise _of(self.name, self._nodes.why_ended() or error) from None
        finally:
            self._running = None

    @contextmanager
    def beside(self) -> Iterator[SlurmSession]:
        """Hold a second session on the node for a block."""
        yield SlurmSession(self.name, self._nodes)

    def log_in_afresh(self) -> None:
        """Do nothing: a step needs no login."""

    def abort(self) -> None:
        """End the step that runs, with all that it started."""
        if self._running is not None:
            self._running.abort()

    def _begin(self, line: Session) -> None:
        self._running = line
