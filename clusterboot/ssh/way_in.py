"""A way in: one ``ssh`` client process of OpenSSH to a gateway, and streams to what lies behind it."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from clusterboot.errors import TrustError, UnreachableError
from clusterboot.inventory.cluster import Login
from clusterboot.nodes.watchdog import DeadlineError

from . import knownhosts, mux, way_log, way_words
from .mux import MuxStream, NotMuxError, StreamRefusedError
from .transport import Doorkeeper
from .unanswered import refused_stream
from .way_argv import base_argv, master_argv, name_of
from .way_log import WayLog

# Then a server's words are for the person who logs in.
_AT_LOGIN = (way_log.AUTH, way_log.ASKED)
_WRAPPER = Path(__file__).with_name("bound_to_parent.py")
# Whoever waits for a sign of life looks so often.
_LOOK_S = 0.005
# What a server is asked for a sign of life by: a port that nobody listens on. Any answer is one.
_NOBODY = ("127.0.0.1", 0)
# The words of a refusal are in the log a moment before or after the refusal itself.
_WORDS_S = 2.0
# A master's socket has a name of up to 17 bytes more while it is made; sun_path holds 108: unix(7).
_LONGEST_PATH = 80
# A server that owes an answer for less than this is not called silent.
_AGAIN_S = 0.5
_END_S = 2.0


class WayIn:
    """The way to one gateway.

    Parameters: its login; the way to the gateway before it, ``None`` where there is none; ``door`` has
    the pins, the deadlines, and how ``ssh`` is started.
    """

    def __init__(self, login: Login, before: WayIn | None, door: Doorkeeper) -> None:
        self.login = login
        self.before = before
        self.door = door
        self.log = WayLog()
        self.fell_silent = False
        self.is_own = True
        self._folder = Path(_private_folder())
        self._control = self._folder / "s"
        self._seen = self._folder / "seen"
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._gone = False
        self._lock = threading.Lock()
        self._asked_s: float | None = None

    def open(self) -> None:
        """Log in, or take the master that the user has open.

        Errors: :class:`UnreachableError` at stage ``gateway``; :class:`TrustError` for its host key.
        """
        base, theirs = self._prepare()
        if theirs is not None:
            self._control, self.is_own = theirs, False
            return
        try:
            try:
                self._log_in(base)
            except _PinnedNowError:
                self.log = WayLog()
                self._gone = False
                self._log_in(self._prepare()[0])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process if it is ours, and with it all streams; a master of the user's is left open."""
        with self._lock:
            self._closed = self._gone = True
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_END_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def stream(self, host: str, port: int, timeout_s: float) -> MuxStream:
        """Open a TCP stream to what the gateway knows as ``host``.

        Errors: :class:`StreamRefusedError` with the server's words, empty where they are in the log of a
        master that is not ours; ``TimeoutError``; ``OSError`` or :class:`NotMuxError` where the way ended.
        """
        before = self.log.refusals(host, port)
        try:
            return mux.open_stream(self._control, host, port, timeout_s)
        except StreamRefusedError:
            words = self.log.why_refused(host, port, before, _WORDS_S) if self.is_own else ""
            raise StreamRefusedError(words) from None
        except TimeoutError:
            raise
        except (OSError, NotMuxError):
            self._gone = True
            raise

    @property
    def login_key(self) -> str | None:
        """The fingerprint of the key that the gateway took, ``None`` where it was no key."""
        return self.log.accepted

    @property
    def host_key(self) -> str | None:
        """The fingerprint of the gateway's host key, ``None`` where a master of the user's checked it."""
        return self.log.host_key

    @property
    def is_connected(self) -> bool:
        """True while the way is open."""
        return not self._gone and not self.log.ended

    @property
    def unanswered_s(self) -> float:
        """How long the gateway has owed a sign of life, in seconds; 0 where it owes none."""
        asked_s = self._asked_s
        return 0.0 if asked_s is None else time.monotonic() - asked_s

    def ping(self) -> None:
        """Ask the gateway for a sign of life, unless it already owes one."""
        with self._lock:
            if self._asked_s is not None or not self.is_connected:
                return
            self._asked_s = time.monotonic()
        threading.Thread(target=self._await_sign, name="clusterboot-ping", daemon=True).start()

    def stands(self, patience_s: float) -> bool:
        """Ask for a sign of life, and wait for that or for the end of the way.

        Returns: false where it has ended; true also where nothing came in time.
        """
        self.ping()
        for _ in range(math.ceil(patience_s / _LOOK_S)):
            if not self.is_connected or self._asked_s is None:
                break
            time.sleep(_LOOK_S)
        return self.is_connected

    def owes_for(self, limit_s: float) -> bool:
        """Tell whether the gateway has owed a sign of life for so long, after a look at what has come."""
        if self.unanswered_s < limit_s:
            return False
        self.stands(_AGAIN_S)
        return self.unanswered_s >= limit_s

    def give_up(self) -> None:
        """Take the gateway for dead, so that all streams through it end."""
        self.fell_silent = True
        self.close()

    def _await_sign(self) -> None:
        try:
            # For as long as it takes: who waits for it counts.
            self._sign()
        finally:
            self._asked_s = None

    def _sign(self) -> None:
        while self.is_connected:
            try:
                mux.open_stream(self._control, *_NOBODY, self.door.timeouts.alive_s).close()
            except StreamRefusedError:
                return
            except TimeoutError:
                continue
            except (OSError, NotMuxError):
                self._gone = True
                return
            return

    def _prepare(self) -> tuple[tuple[str, ...], Path | None]:
        """Give the start of command lines to this gateway, and the socket of a master that the user has."""
        known_hosts = self._folder / "known_hosts"
        known_hosts.write_text(self.door.trust.lines_for(self.login))
        before = self.before._control if self.before is not None else None
        for seen in (self._seen, None):
            base = base_argv(self.door.client, self.login, known_hosts, seen, before)
            asked = _ask_ssh([*base, "-G", "--", name_of(self.login)], self._allowed_s())
            if b"knownhostscommand" not in asked.stderr.lower():
                break
        lines = (line.partition(" ") for line in asked.stdout.decode(errors="replace").splitlines())
        path = next((value for word, _, value in lines if word == "controlpath"), "none")
        if path != "none" and Path(path).exists() and mux.is_alive(Path(path), self._allowed_s()):
            return base, Path(path)
        return base, None

    def _allowed_s(self) -> float:
        return max(self.door.watchdog.allow_s(self.door.timeouts.connect_s), 0.001)

    def _log_in(self, base: Sequence[str]) -> None:
        argv = master_argv(base, name_of(self.login), self._control, self.door.timeouts.alive_s)
        self._thread = threading.Thread(target=self._run, args=(argv,), name="clusterboot-way", daemon=True)
        self._thread.start()
        door, log, timeouts = self.door, self.log, self.door.timeouts
        auth_s = timeouts.auth_s
        bounds_s = (timeouts.connect_s, timeouts.banner_s, timeouts.exchange_s, auth_s, auth_s)
        for step, bound_s in enumerate(bounds_s):
            # Nobody knows how long a person takes to type; sshd's LoginGraceTime ends that.
            asked = step == way_log.ASKED and door.client.answered
            waiting = door.watchdog.pausing() if asked else door.watchdog.limit(bound_s, self._kill)
            try:
                with waiting:
                    if log.passed(step):
                        continue
            except DeadlineError as late:
                raise way_words.late(log, self.login, late.words) from None
            self._thread.join()
            raise self._failure()

    def _failure(self) -> UnreachableError | TrustError:
        if self._closed:
            return UnreachableError("interrupted", host=self.login.place, stage="gateway")
        if self.log.says("Host key verification failed") or self.log.says("HOST IDENTIFICATION HAS CHANGED"):
            return self._objection()
        refused = self.log.says(r"[Ss]tdio forwarding request failed|stdio forward")
        if refused is not None and self.before is not None:
            words = self.before.log.why_refused(self.login.hostname, self.login.port, 0, _WORDS_S)
            error = refused_stream(self.login, self.before.login, words, own=self.before.is_own)
            if error.stage != "gateway":
                error.cause, error.stage = f"{error.stage}: {error.cause}", "gateway"
            return error
        return way_words.failure(self.log, self.login, answered=self.door.client.answered)

    def _objection(self) -> TrustError | UnreachableError:
        """Ask the pins about the host key that ``ssh`` would not take."""
        keys = [line.blob for line in knownhosts.read_file(self._seen)]
        for blob in keys:
            try:
                self.door.trust.check(self.login, blob)
            except TrustError as error:
                return error
        if keys:
            return _PinnedNowError("its key was just pinned", host=self.login.place, stage="hostkey")
        return TrustError(
            f"host key {self.log.host_key or ''} is not believed: {way_words.last(self.log)}",
            host=self.login.place,
            stage="hostkey",
            remedy="compare it with the machine's own, and mend known_hosts",
        )

    def _kill(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def _run(self, argv: Sequence[str]) -> None:
        """Start the process and read what it says: it ends with this thread."""
        client = self.door.client
        environ = dict(os.environ)
        if client.askpass and not client.asks:
            # The first is OpenSSH's from 8.4 on; before that it asks for a display.
            environ |= {"SSH_ASKPASS": client.askpass, "SSH_ASKPASS_REQUIRE": "force"}
            environ.setdefault("DISPLAY", ":0")
        try:
            with self._lock:
                if self._closed:
                    return
                self._process = subprocess.Popen(
                    [sys.executable, "-IS", str(_WRAPPER), str(os.getpid()), *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=environ,
                    # Without somebody at the terminal nothing may be asked there.
                    start_new_session=not client.asks,
                )
            process = self._process
            with process.stderr or nullcontext(()) as said:
                for raw in said:
                    line = self.log.feed(raw.decode(errors="replace").rstrip("\r\n"))
                    if line is not None and client.tell is not None and self.log.step in _AT_LOGIN:
                        client.tell(line)
            process.wait()
            if self.log.says(r"Timeout, server .* not responding"):
                self.fell_silent = True
        finally:
            self._gone = True
            self.log.end()


def _ask_ssh(argv: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    """Have ``ssh`` say what its configuration comes to; nothing where it does not within its time."""
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=timeout_s
        )
    except (OSError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(argv, 1, b"", b"")


class _PinnedNowError(UnreachableError):
    """A gateway's key was unknown and is pinned now: the next login will do."""


def _private_folder() -> str:
    """Make a folder of mode 0700 for control sockets, where its path is short enough."""
    for root in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        short = root and len(root) < _LONGEST_PATH - 24 and "%" not in root
        if root and short and os.access(root, os.W_OK | os.X_OK):
            return tempfile.mkdtemp(prefix="clusterboot-", dir=root)
    return tempfile.mkdtemp(prefix="clusterboot-", dir="/tmp")
