"""Keys, stubs, real sshds and fleets for the tests of connections."""

from __future__ import annotations

import base64
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.errors import ClusterbootError
from clusterboot.inventory.cluster import Host, Login, TrustOptions
from clusterboot.inventory.loader import load
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.nodes.watchdog import Watchdog
from clusterboot.ssh.audit import AuditLog
from clusterboot.ssh.fleet import AskAcceptance, Fleet
from clusterboot.ssh.identity import IdentityStore
from clusterboot.ssh.transport import Doorkeeper, Timeouts
from clusterboot.ssh.trust import TrustStore

# Whoever answers at all does so within these, however busy the machine; a test in which something hangs
# shortens what that is to run into, and nothing else.
PATIENT = Timeouts(
    resolve_s=HANGS_S,
    connect_s=HANGS_S,
    banner_s=HANGS_S,
    exchange_s=HANGS_S,
    auth_s=HANGS_S,
    channel_s=HANGS_S,
    command_s=HANGS_S,
    alive_s=HANGS_S,
)


@dataclass(frozen=True)
class KeyFile:
    """A key pair on disk; ``public`` is the line without a comment."""

    path: Path
    public: str

    @property
    def blob(self) -> bytes:
        return base64.b64decode(self.public.split()[1])


def write_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> KeyFile:
    key = (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    sealed = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, sealed))
    path.chmod(0o600)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    path.with_name(path.name + ".pub").write_text(public + "\n")
    return KeyFile(path, public)


@dataclass
class Way:
    """Everything that a fleet needs, with files below one folder."""

    folder: Path
    close: ExitStack
    stores: list[TrustStore] = field(default_factory=list)

    @property
    def audit_path(self) -> Path:
        return self.folder / "state" / "audit.jsonl"

    def fleet(
        self,
        *,
        known: str = "",
        accept_new: bool = False,
        ask: AskAcceptance | None = None,
        timeouts: Timeouts = PATIENT,
        deadline_s: float | None = None,
        fanout: int = 8,
        files: tuple[Path, ...] = (),
        passphrase: Callable[[Path], str] | None = None,
    ) -> Fleet:
        pins = self.folder / "pins"
        pins.write_text(known)
        trust = TrustStore(
            TrustOptions(known_hosts=(pins, *files)),
            self.folder / "state" / "known_hosts",
            accept_new=accept_new,
            default_files=(),
        )
        self.stores.append(trust)
        door = Doorkeeper(trust, IdentityStore(passphrase), Watchdog(deadline_s), timeouts)
        audit = self.close.enter_context(AuditLog(self.audit_path))
        return self.close.enter_context(Fleet(door, audit, fanout=fanout, ask=ask))


def said(name: str, script: str, timeout_s: float | None = None) -> Question[str]:
    """Ask for what a script prints."""
    return Question.of_one(Section(name, script), lambda output: output.text, "facts", timeout_s)


def echo(session: Session) -> str:
    return session.ask(said("echo", "echo hello"))


def error_of(outcome: object) -> ClusterbootError:
    assert isinstance(outcome, ClusterbootError), outcome
    return outcome


class Stub:
    """A server on the loopback that does, with each connection, what a real sshd cannot be made to do."""

    def __init__(self, behave: Callable[[socket.socket], None], family: socket.AddressFamily) -> None:
        self._behave = behave
        self._listener = socket.create_server(
            ("127.0.0.1" if family == socket.AF_INET else "::1", 0), family=family
        )
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, name="stub", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(conn)
            threading.Thread(target=self._one, args=(conn,), name="stub-one", daemon=True).start()

    def _one(self, conn: socket.socket) -> None:
        try:
            self._behave(conn)
        except OSError:
            return

    def close(self) -> None:
        # Shut down, and not only closed: a thread may be in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(HANGS_S)
        for conn in self._open:
            with suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
            conn.close()


@dataclass(frozen=True)
class Sshd:
    """A real sshd on the loopback, with its log."""

    address: str
    port: int
    log: Path
    login_key: KeyFile
    host_key: KeyFile

    @property
    def login(self) -> Login:
        return Login(self.address, "root", self.port, (self.login_key.path,), identities_only=True)

    @property
    def host(self) -> Host:
        return Host("node", self.login)

    def known(self, name: str | None = None) -> str:
        return f"{name or f'[{self.address}]:{self.port}'} {self.host_key.public}\n"

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def attempts(self) -> int:
        """How many times a key was offered and decided on."""
        return sum(
            "Accepted publickey" in line or "Failed publickey" in line for line in self.said.splitlines()
        )


def until_listening(log: Path, process: subprocess.Popen[bytes]) -> None:
    until_logged(log, "Server listening", lambda: process.poll() is None)


def until_logged(log: Path, words: str, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Wait for sshd to write something into its log, for as long as it ``goes_on``."""
    pause, end_s = threading.Event(), time.monotonic() + HANGS_S
    while time.monotonic() < end_s:
        if words in log.read_text(errors="replace"):
            return
        assert goes_on(), log.read_text(errors="replace")
        pause.wait(0.005)
    raise AssertionError(f"sshd does not say {words}: {log.read_text(errors='replace')}")


def hurry(fleet: Fleet, *names: str, **waits_s: float) -> None:
    """Shorten waits of what is dialled from now on, or of the open connections of the hosts of these names.

    What a test opened before that keeps its time: it is not to suffer from what another host does not answer.
    """
    door = replace(fleet.door, timeouts=replace(fleet.door.timeouts, **waits_s))
    if not names:
        fleet.door = door
    for name in names:
        fleet._sessions[name].connection.door = door


def host_at(port: int, key: KeyFile, *via: Login, name: str = "n") -> Host:
    return Host(name, Login("127.0.0.1", "u", port, (key.path,), identities_only=True), via)


def hold(conn: socket.socket) -> None:
    """Say nothing more until the other end goes."""
    while conn.recv(65536):
        pass


def signed(key: Any, ca: Any, to: Path | None = None, validity: str = "-5m:+1h") -> Path:
    argv = [
        "ssh-keygen",
        "-q",
        "-s",
        str(ca.path),
        "-I",
        "id",
        "-n",
        "root",
        "-V",
        validity,
        f"{key.path}.pub",
    ]
    subprocess.run(argv, check=True, capture_output=True)
    made = Path(f"{key.path}-cert.pub")
    return made.rename(to) if to else made


def hosts_of(lab: labs.Lab) -> tuple[Host, ...]:
    return load(labs.cluster_file(lab.name)).hosts
