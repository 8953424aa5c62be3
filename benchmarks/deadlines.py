"""How well deadlines are kept: what each wait was promised, and what it took.

Stand-ins on the loopback answer up to one point and then say nothing more, to many hosts at
once. For each wait the ratio of actual to promised time is printed, and must stay below 1.1 at
the 99th percentile. Run it with ``python benchmarks/deadlines.py [ROUNDS]``.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clusterboot.errors import ClusterbootError
from clusterboot.inventory.cluster import Host, Login, TrustOptions
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.nodes.watchdog import Watchdog
from clusterboot.ssh.audit import AuditLog
from clusterboot.ssh.fleet import Fleet
from clusterboot.ssh.identity import IdentityStore
from clusterboot.ssh.transport import Doorkeeper, Timeouts
from clusterboot.ssh.trust import TrustStore

HOSTS = 16
PROMISED_S = 1.0
LIMIT = 1.1

# The wait that is measured, and the point up to which the stand-in answers.
WAITS = {
    "connect_s": "nothing",
    "banner_s": "connect",
    "exchange_s": "banner",
    "auth_s": "handshake",
    "channel_s": "login",
    "command_s": "channel",
}


class Mute(paramiko.ServerInterface):
    """A server that takes every key and stops answering at a point."""

    def __init__(self, point: str, over: threading.Event) -> None:
        self._point, self._over = point, over

    def _until(self, point: str) -> None:
        if self._point == point:
            self._over.wait()

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002
        """Take any key."""
        self._until("handshake")
        return paramiko.common.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        """Offer keys."""
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        """Open any channel."""
        self._until("login")
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:  # noqa: ARG002
        """Run nothing, and say nothing of it."""
        return True


@contextmanager
def stand_in(point: str, key: paramiko.PKey) -> Iterator[int]:
    """Listen on a port and answer up to ``point``. Returns: the port."""
    over = threading.Event()
    held: list[socket.socket | paramiko.Transport] = []
    with ExitStack() as stack:
        listener = stack.enter_context(
            socket.create_server(("127.0.0.1", 0), backlog=0 if point == "nothing" else 128)
        )
        port: int = listener.getsockname()[1]
        if point == "nothing":
            # A full backlog swallows what comes: listen(2).
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                with suppress(BlockingIOError):
                    filler.connect(("127.0.0.1", port))
        else:
            threading.Thread(target=_serve, args=(listener, point, key, over, held), daemon=True).start()
        try:
            yield port
        finally:
            over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for one in held:
                one.close()


def _serve(
    listener: socket.socket,
    point: str,
    key: paramiko.PKey,
    over: threading.Event,
    held: list[socket.socket | paramiko.Transport],
) -> None:
    while True:
        try:
            conn, _ = listener.accept()
        except OSError:
            return
        held.append(conn)
        if point == "banner":
            conn.sendall(b"SSH-2.0-mute\r\n")
        elif point != "connect":
            transport = paramiko.Transport(conn)
            transport.add_server_key(key)
            transport.start_server(event=threading.Event(), server=Mute(point, over))
            held.append(transport)


def measure(wait: str, point: str, folder: Path, key: Path) -> list[float]:
    """Give, for many hosts at once, how long one wait took in seconds."""
    # The waits before it must not be what ends it; all but the measured one may take their time.
    timeouts = Timeouts(**{field.name: 60.0 for field in fields(Timeouts)})
    timeouts = replace(timeouts, **{wait: PROMISED_S})
    took_s: list[float] = []
    with ExitStack() as stack:
        port = stack.enter_context(stand_in(point, paramiko.Ed25519Key.from_private_key_file(str(key))))
        trust = TrustStore(TrustOptions(), folder / "pins", accept_new=True, default_files=())
        door = Doorkeeper(trust, IdentityStore(), _Timed(took_s), timeouts)
        audit = stack.enter_context(AuditLog(folder / "audit.jsonl"))
        fleet = stack.enter_context(Fleet(door, audit, fanout=HOSTS))
        login = Login("127.0.0.1", "nobody", port, (key,), identities_only=True)
        outcomes = fleet.each([Host(f"n{i}", login) for i in range(HOSTS)], _work)
        if not all(isinstance(outcome, ClusterbootError) for outcome in outcomes.values()):
            sys.exit(f"{wait}: a host was done, where none could be")
    entries = [json.loads(line) for line in (folder / "audit.jsonl").read_text(encoding="ascii").splitlines()]
    for name in ("pins", "audit.jsonl", "audit.jsonl.mark"):
        (folder / name).unlink(missing_ok=True)
    # The kernel times a dial; the audit log has how long the attempt took, which was nothing else.
    return [entry["duration_s"] for entry in entries] if wait == "connect_s" else took_s


def _work(session: Session) -> None:
    session.ask(Question.of_one(Section("nothing", ":"), lambda said: said.text, "facts"))


class _Timed(Watchdog):
    """A watchdog that notes how long the waits of the promised length took."""

    def __init__(self, took_s: list[float]) -> None:
        super().__init__()
        self._took_s = took_s

    @contextmanager
    def limit(self, timeout_s: float, close: Callable[[], object]) -> Iterator[None]:
        """As the real one, with a stop watch."""
        started_s = time.monotonic()
        try:
            with super().limit(timeout_s, close):
                yield
        finally:
            if timeout_s == PROMISED_S:
                self._took_s.append(time.monotonic() - started_s)


def main() -> int:
    """Measure all waits and print a table. Returns: 1 where one of them is kept badly."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{rounds} rounds of {HOSTS} hosts at once, {PROMISED_S:g} s promised for each wait")
    print(f"{'wait':<12}{'n':>5}{'median':>9}{'p99':>9}{'max':>9}   actual / promised")
    worst = 0.0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        key = folder / "key"
        private = ed25519.Ed25519PrivateKey.generate()
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        for wait, point in WAITS.items():
            ratios = sorted(
                took_s / PROMISED_S for _ in range(rounds) for took_s in measure(wait, point, folder, key)
            )
            p99 = ratios[min(len(ratios) - 1, int(len(ratios) * 0.99))]
            worst = max(worst, p99)
            median = statistics.median(ratios)
            print(f"{wait:<12}{len(ratios):>5}{median:>9.3f}{p99:>9.3f}{ratios[-1]:>9.3f}")
    print(f"worst 99th percentile: {worst:.3f} (to keep: {LIMIT})")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
