from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from connect_helpers import KeyFile, Sshd, Stub, Way, until_listening, write_key  # type: ignore[import-not-found]
from patience import HANGS_S
from ports import held_port

from clusterboot import lab as labs
from clusterboot.ssh.fleet import Fleet


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def new_key(tmp_path: Path) -> Callable[..., KeyFile]:
    def make(name: str, kind: str = "ed25519", passphrase: str = "") -> KeyFile:
        return write_key(tmp_path / name, kind=kind, passphrase=passphrase)

    return make


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    with ExitStack() as stack:
        yield Way(tmp_path, stack)


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    """Fail where a thread of clusterboot or paramiko outlives the test by more than a moment."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(HANGS_S)
    assert [t.name for t in set(threading.enumerate()) - before] == []


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    made: list[Stub] = []

    def make(behave: Callable[[socket.socket], None], family: socket.AddressFamily = socket.AF_INET) -> Stub:
        made.append(Stub(behave, family))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Start real sshds: ``sshd("MaxAuthTries 3", address="::1")``; they end with the test."""
    running: list[subprocess.Popen[bytes]] = []
    ports = ExitStack()

    def start(*settings: str, address: str = "127.0.0.1", host_key: KeyFile | None = None) -> Sshd:
        folder = tmp_path / f"sshd{len(running)}"
        folder.mkdir()
        host_key = host_key or write_key(folder / "host")
        login_key = write_key(folder / "login")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        port = held_port(ports.enter_context(socket.socket(family)), address)
        config = folder / "config"
        lines = [
            *settings,
            f"ListenAddress {f'[{address}]' if ':' in address else address}:{port}",
            f"HostKey {host_key.path}",
            f"AuthorizedKeysFile {folder / 'login.pub'}",
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "LogLevel VERBOSE",
            # So that the start-up files of whoever runs the tests stay out of them.
            f"SetEnv HOME={folder}",
        ]
        config.write_text("\n".join(lines) + "\n")
        log = folder / "log"
        log.touch()
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it: PRIVSEP in its README
        binary = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert binary
        running.append(subprocess.Popen([binary, "-D", "-E", str(log), "-f", str(config)]))
        until_listening(log, running[-1])
        return Sshd(address, port, log, login_key, host_key)

    yield start
    for process in running:
        with process:
            process.kill()
    ports.close()


@pytest.fixture(scope="session")
def trio(lab_root: str) -> Iterator[labs.Lab]:
    """A lab of three nodes, for faults that are made and mended."""
    name = f"t-trio-{os.getpid()}"
    try:
        yield labs.up(name, nodes=3)
    finally:
        labs.down(name)


@pytest.fixture
def broken(trio: labs.Lab) -> Iterator[labs.Lab]:
    """The three nodes, mended afterwards."""
    yield trio
    for m in trio.machines:
        labs.mend(trio.name, m.name)


@pytest.fixture
def key(new_key: Callable[..., KeyFile]) -> KeyFile:
    return new_key("login")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start an ssh-agent that has the given keys: gives its socket."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*keys: Any) -> str:
        sock = str(tmp_path / f"agent{len(running)}")
        running.append(subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.PIPE))
        said = running[-1].stdout
        assert said
        # It says where it is once it listens there, which is later than the socket is to be seen.
        assert said.readline()
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", str(key.path)],
                env={**os.environ, "SSH_AUTH_SOCK": sock},
                check=True,
                stdin=subprocess.DEVNULL,
            )
        return sock

    yield start
    for process in running:
        with process:
            process.kill()


@pytest.fixture
def fleet(way: Way, broken: labs.Lab) -> Fleet:
    return way.fleet(files=(broken.folder / "known_hosts",))
