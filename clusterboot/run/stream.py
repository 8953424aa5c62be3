"""The stream of a launch, read in a thread of its own so that somebody can look at the clock meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType

from clusterboot import interrupts
from clusterboot.errors import ClusterbootError
from clusterboot.nodes.sessions import Beat, Session

# Chunks that may wait to be read; a program that prints faster waits itself.
_MOST_CHUNKS = 64
_PATIENCE_S = 0.2
_END_S = 10.0


class Wire:
    """A script's streams from a host, as chunks.

    Parameters: the session; the script; what its heartbeat sends; the audit log's name for it; its
    time limit in seconds. ``error`` is set where the stream did not end by itself. At the end of the
    block what still runs is told that the operator is gone.
    """

    def __init__(self, session: Session, script: bytes, beat: Beat, *, label: str, timeout_s: float) -> None:
        self.error: ClusterbootError | None = None
        self._fault: BaseException | None = None
        self._session = session
        self._chunks: queue.Queue[tuple[str, bytes] | None] = queue.Queue(_MOST_CHUNKS)
        self._closed = threading.Event()
        self._work = (script, beat, label, timeout_s)
        self._thread = threading.Thread(target=self._read, name="clusterboot-wire", daemon=True)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._session.abort()
            self._thread.join(_END_S)

    def chunks(self, tick_s: float) -> Iterator[tuple[str, bytes]]:
        """Give each chunk with the name of its stream, and an empty one after ``tick_s`` without any.

        Ends with the stream.
        """
        while True:
            interrupts.check()
            try:
                chunk = self._chunks.get(timeout=tick_s)
            except queue.Empty:
                chunk = ("stdout", b"")
            if chunk is None:
                if self._fault is not None:
                    raise self._fault
                return
            yield chunk

    def _read(self) -> None:
        script, beat, label, timeout_s = self._work
        try:
            self._session.stream(
                script,
                lambda data: self._put(("stdout", data)),
                lambda data: self._put(("stderr", data)),
                "launch",
                timeout_s=timeout_s,
                hold_stdin=True,
                beat=beat,
                label=label,
            )
        except ClusterbootError as error:
            self.error = error
        except Exception as fault:
            self._fault = fault
        finally:
            self._put(None)

    def _put(self, chunk: tuple[str, bytes] | None) -> None:
        while not self._closed.is_set():
            try:
                self._chunks.put(chunk, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return
