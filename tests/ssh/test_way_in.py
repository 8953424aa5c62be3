"""Ways in through real sshds: whose process they are, who is asked, and what is left of them."""

from __future__ import annotations

import json
import os
import pickle
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from connect_helpers import KeyFile, Sshd, Way, echo, error_of  # type: ignore[import-not-found]
from patience import HANGS_S

from clusterboot.inventory.cluster import Asked, Host
from clusterboot.ssh import mux
from clusterboot.ssh.fleet import Fleet
from clusterboot.ssh.knownhosts import fingerprint
from clusterboot.ssh.way_argv import SshClient
from clusterboot.ssh.way_in import WayIn

StartSshd = Callable[..., Sshd]
NewKey = Callable[..., KeyFile]
pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("no_threads_left")]


CANARY = "typed-canary"


def way_of(fleet: Fleet) -> WayIn:
    (way,) = fleet._gateways.values()
    assert isinstance(way, WayIn)
    return way


def with_client(fleet: Fleet, client: SshClient) -> Fleet:
    fleet.door = replace(fleet.door, client=client)
    return fleet


def test_a_way_in_is_on_record_with_the_host_key_that_it_saw(way: Way, sshd: StartSshd) -> None:
    head, node = sshd(), sshd()

    way.fleet(known=head.known() + node.known()).each([Host("n", node.login, (head.login,))], echo)

    first = json.loads(way.audit_path.read_text().splitlines()[0])
    assert (first["event"], first["outcome"]) == ("connect", "ok")
    assert first["key"] == fingerprint(head.login_key.blob)
    assert first["host_key"] == fingerprint(head.host_key.blob)


def test_at_the_end_no_process_and_no_socket_of_a_way_in_is_left(way: Way, sshd: StartSshd) -> None:
    head, node = sshd(), sshd()
    fleet = way.fleet(known=head.known() + node.known())
    fleet.each([Host("n", node.login, (head.login,))], echo)
    through = way_of(fleet)
    assert through._control.parent.stat().st_mode & 0o777 == 0o700

    fleet.close()

    assert through._process is not None
    assert through._process.returncode is not None
    assert not through._control.parent.exists()


def test_an_open_master_of_the_users_is_used_and_left_open(way: Way, sshd: StartSshd, tmp_path: Path) -> None:
    head, node = sshd(), sshd()
    config, control = tmp_path / "ssh_config", Path("/tmp") / f"cb-test-{os.getpid()}"
    known = tmp_path / "known"
    known.write_text(head.known())
    config.write_text(
        f"Host front\n HostName 127.0.0.1\n Port {head.port}\n User root\n ControlPath {control}\n"
        f" IdentityFile {head.login_key.path}\n UserKnownHostsFile {known}\n"
    )
    argv = ["ssh", "-F", str(config), "-M", "-N", "front"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as master:
        try:
            until(lambda: mux.is_alive(control, HANGS_S))
            # Nothing but the name is known here: neither key nor address would do.
            gateway = replace(head.login, hostname="front", port=1, identity_files=(), asked=Asked("front"))
            fleet = with_client(way.fleet(known=node.known()), SshClient(config=config))
            assert fleet.each([Host("n", node.login, (gateway,))], echo) == {"n": "hello\n"}
            assert not way_of(fleet).is_own
            fleet.close()
            assert mux.is_alive(control, HANGS_S)
        finally:
            master.terminate()


def test_a_question_is_answered_by_askpass_and_without_it_says_what_is_wanted(
    way: Way, sshd: StartSshd, new_key: NewKey, tmp_path: Path
) -> None:
    head, node = sshd(), sshd()
    sealed = new_key("sealed", passphrase=CANARY)
    (way.folder / "sshd0" / "login.pub").write_text(sealed.public + "\n")
    host = Host("n", node.login, (replace(head.login, identity_files=(sealed.path,)),))
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho {CANARY}\n")
    askpass.chmod(0o700)
    known = head.known() + node.known()

    asked = with_client(way.fleet(known=known), SshClient(askpass=str(askpass)))
    assert asked.each([host], echo) == {"n": "hello\n"}
    error = error_of(way.fleet(known=known).each([host], echo)["n"])

    assert (error.host, error.stage, int(error.exit_code)) == (head.login.place, "gateway", 4)
    assert "canary" not in way.audit_path.read_text()


_OPERATOR = """
import pickle, sys
from contextlib import ExitStack
from pathlib import Path
sys.path[:0] = pickle.loads(Path(sys.argv[1]).read_bytes())["path"]
from connect_helpers import Way, echo
given = pickle.loads(Path(sys.argv[1]).read_bytes())
with ExitStack() as stack:
    fleet = Way(Path(sys.argv[2]), stack).fleet(known=given["known"])
    assert fleet.each([given["host"]], echo) == {"n": "hello\\n"}
    (way,) = fleet._gateways.values()
    print(way._process.pid, way._control.parent, flush=True)
    sys.stdin.read()
"""


def test_after_kill_9_no_ssh_of_ours_is_left(way: Way, sshd: StartSshd, tmp_path: Path) -> None:
    head, node = sshd(), sshd()
    given = tmp_path / "given"
    host = Host("n", node.login, (head.login,))
    given.write_bytes(pickle.dumps({"path": sys.path, "known": head.known() + node.known(), "host": host}))
    work = tmp_path / "work"
    work.mkdir()
    argv = [sys.executable, "-c", _OPERATOR, str(given), str(work)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as operator:
        assert operator.stdout
        pid, folder = operator.stdout.readline().split()
        watched = os.pidfd_open(int(pid))
        operator.send_signal(signal.SIGKILL)
    try:
        assert select.select([watched], [], [], HANGS_S)[0], "the ssh process lives on"
    finally:
        os.close(watched)
        shutil.rmtree(folder, ignore_errors=True)


def until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + HANGS_S
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.01)


_AT_A_TERMINAL = """
import pickle, sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
given = pickle.loads(Path(sys.argv[1]).read_bytes())
sys.path[:0] = given["path"]
from connect_helpers import Way, echo
from clusterboot.ssh.way_argv import SshClient
with ExitStack() as stack:
    fleet = Way(Path(sys.argv[2]), stack).fleet(known=given["known"], deadline_s=given["deadline_s"])
    fleet.door = replace(fleet.door, client=SshClient(asks=True))
    print(fleet.each(given["hosts"], echo), flush=True)
"""


def test_at_a_terminal_ssh_asks_once_and_what_is_typed_is_found_nowhere(
    way: Way, sshd: StartSshd, new_key: NewKey, tmp_path: Path
) -> None:
    head, node = sshd(), sshd()
    sealed = new_key("sealed", passphrase=CANARY)
    (way.folder / "sshd0" / "login.pub").write_text(sealed.public + "\n")
    through = (replace(head.login, identity_files=(sealed.path,)),)
    given, work = tmp_path / "given", tmp_path / "work"
    work.mkdir()
    hosts = [Host(name, node.login, through) for name in ("n1", "n2")]
    known = head.known() + node.known()
    given.write_bytes(pickle.dumps({"path": sys.path, "known": known, "hosts": hosts, "deadline_s": HANGS_S}))
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-c", _AT_A_TERMINAL, str(given), str(work)])  # noqa: S606
    seen = b""
    try:
        while b"passphrase" not in seen:
            seen += os.read(terminal, 65536)
        os.write(terminal, CANARY.encode() + b"\n")
        with suppress(OSError):  # the terminal's end, as Linux has it
            while more := os.read(terminal, 65536):
                seen += more
    finally:
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert code == 0, seen
    assert seen.count(b"Enter passphrase") == 1
    assert b"{'n1': 'hello\\n', 'n2': 'hello\\n'}" in seen
    assert CANARY.encode() not in seen
    assert CANARY not in (work / "state" / "audit.jsonl").read_text()
