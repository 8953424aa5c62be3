"""One mpirun, from its start on the launching node to the last process that it left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterboot.bench.scrub import scrub
from clusterboot.connect.script import new_nonce
from clusterboot.connect.session import Session
from clusterboot.diagnose.verdict import RunEnd
from clusterboot.errors import ClusterbootError
from clusterboot.flows.visit import Visit
from clusterboot.launch.launchers import command
from clusterboot.launch.reap import Reaped, parse_reaped, reap_section
from clusterboot.launch.spec import RunSpec
from clusterboot.launch.supervise import RunEnd as SupervisedEnd
from clusterboot.launch.supervise import Stream, render_supervisor

# What the node's own watchdog may need, beyond the run's deadline, to end it and to say so.
_END_S = 30
_LONGEST_LINE_BYTES = 64 * 1024
_LONGEST_LOG_BYTES = 256 * 1024 * 1024


class LineLog:
    """A log file of whole lines from two streams, each as soon as it is complete, without secrets."""

    def __init__(self, path: Path, on_line: Callable[[str], None]) -> None:
        self.path = path
        self._on_line = on_line
        self._pending = {"stdout": bytearray(), "stderr": bytearray()}
        self._written_bytes = 0

    def feed(self, stream: str, data: bytes) -> None:
        """Take what came on a stream; complete lines are written at once.

        A line without an end is written in pieces, and a log without an end is cut off, so
        that neither memory nor disk is at a program's mercy.
        """
        first, *rest = data.split(b"\n")
        self._pending[stream] += first
        if rest:
            lines = [bytes(self._pending[stream]), *rest[:-1]]
            self._pending[stream] = bytearray(rest[-1])
            self._write([line + b"\n" for line in lines], stream)
        elif len(self._pending[stream]) > _LONGEST_LINE_BYTES:
            self._write([bytes(self._pending[stream]) + b"\n"], stream)
            self._pending[stream] = bytearray()

    @property
    def content(self) -> bytes:
        """All that was written so far."""
        return self.path.read_bytes() if self.path.exists() else b""

    def close(self) -> None:
        """Write what is left of unfinished lines."""
        for stream, rest in self._pending.items():
            if rest:
                self._write([bytes(rest) + b"\n"], stream)
            self._pending[stream] = bytearray()
        # A key that spans lines is only seen in the whole.
        content = self.content
        if (clean := scrub(content)) != content:
            beside = self.path.with_suffix(".new")
            beside.write_bytes(clean)
            beside.replace(self.path)

    def _write(self, lines: list[bytes], stream: str) -> None:
        if not lines:
            return
        text = scrub(b"".join(lines))
        if self._written_bytes + len(text) > _LONGEST_LOG_BYTES:
            return
        self._written_bytes += len(text)
        with self.path.open("ab") as file:
            file.write(text)
        if stream == "stdout":
            for line in lines:
                self._on_line(line.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Launch:
    """One launch: what runs, the text of its hostfile, and the seconds after which the node ends it.

    ``files`` are more texts for the run's folder on the launching node, by name.
    """

    spec: RunSpec
    hostfile: str
    timeout_s: int
    files: Mapping[str, str] = field(default_factory=dict)


def execute(visit: Visit, start: str, launch: Launch, log: LineLog) -> RunEnd:
    """Run a launch from node ``start`` and see it to its end.

    Parameters: ``log`` takes the output as it comes.
    Returns: how it ended; after anything but a clean end every node was asked to end what
    was left of this run.
    """
    session = visit.fleet.session(next(host for host in visit.good if host.name == start))
    try:
        end = _stream(session, visit.cluster.name, launch, log)
    except KeyboardInterrupt:
        end = RunEnd("interrupted", detail="it was interrupted")
    finally:
        log.close()
    if end.how != "exited" or end.exit_code:
        _reap(visit, launch.spec.run_id)
    return end


def _stream(session: Session, cluster: str, launch: Launch, log: LineLog) -> RunEnd:
    nonce = new_nonce()
    frame = Stream(nonce)
    script = render_supervisor(
        command(launch.spec),
        cluster=cluster,
        run_id=launch.spec.run_id,
        nonce=nonce,
        deadline_s=launch.timeout_s,
        files={"hostfile": launch.hostfile, **launch.files},
    )
    try:
        session.stream(
            script.encode(),
            lambda data: log.feed("stdout", frame.feed(data)),
            lambda data: log.feed("stderr", data),
            "launch",
            timeout_s=launch.timeout_s + _END_S,
            hold_stdin=True,
            label=f"mpirun {' '.join(launch.spec.program)}",
        )
    except ClusterbootError as error:
        if frame.end is None:
            return RunEnd("timed-out", detail=str(error))
    return _ended(frame.end, launch.timeout_s)


def _ended(end: SupervisedEnd | None, timeout_s: int) -> RunEnd:
    if end is None:
        return RunEnd("unknown", detail="the launching node's shell ended before the run did")
    if end.how == "exited":
        return RunEnd("exited", end.exit_code)
    if end.how == "deadline":
        return RunEnd("timed-out", detail=f"it did not end within {timeout_s} s")
    if end.how == "not-started":
        return RunEnd("could-not-launch", detail="the launching node's home cannot be written")
    return RunEnd("interrupted", detail="it was stopped on the launching node")


def _reap(visit: Visit, run_id: str) -> None:
    def reap(session: Session) -> Reaped:
        outputs = session.run([reap_section(run_id)], "launch").answer.sections
        return parse_reaped(outputs["reap"])

    visit.stage("cleaning up", visit.good, reap)
