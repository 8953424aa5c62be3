"""An operator for tests: a home and a working folder of their own, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm_start
from patience import HANGS_S

import json_schemas

# OpenSSH 8.9 to 9.8 spend most of a login on their first choice of a key exchange.
CHEAP = ("-o", "KexAlgorithms=curve25519-sha256")


_HALTING = Path(__file__).with_name("halting.py")


@dataclass(frozen=True)
class Operator:
    """Runs ``clusterboot`` as a user would, in ``folder``, with ``folder`` as home."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERBOOT_CLUSTER")}
        kept.pop("SSH_AUTH_SOCK", None)
        # No lab is running for whom no test says so: not another test's, and not a developer's.
        kept["CLUSTERBOOT_LAB_ROOT"] = str(self.folder / "labs")
        # The labs of tests are not where this operator's would be, whose results go into the folder it is in.
        kept["CLUSTERBOOT_RESULTS"] = str(self.folder)
        return {**kept, "HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state"), **more}

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end, as one that was just started, but for the time of its imports."""
        return warm_start.run(args, self.folder, self.environment(**env), timeout_s=HANGS_S)

    def document(self, *args: str, expect: int = 0, **env: str) -> dict[str, Any]:
        done = self.run(args[0], "--json", *args[1:], **env)
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        document: dict[str, Any] = json.loads(done.stdout)
        assert document["exit_code"] == expect
        json_schemas.check(document)
        return document

    @contextmanager
    def started(self, until: str, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command line, and give it once it has told a line of progress that begins so."""
        with subprocess.Popen(
            [sys.executable, "-m", "clusterboot", *args],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            next((line for line in process.stderr if line.startswith(until)), None)
            yield process

    @contextmanager
    def halted(self, *args: str, line: str = "", records: int = 0) -> Iterator[subprocess.Popen[str]]:
        """Start a command line, and give it when it has stopped its own process; it is killed in the end.

        It stops where it has told a ``line`` that begins so, or put so many ``records`` into its audit log:
        however late it is looked at, it is not over.
        """
        moment = ("line", line) if line else ("records", str(records))
        hears, told = os.pipe()
        with subprocess.Popen(
            [sys.executable, str(_HALTING), str(told), *moment, *args],
            pass_fds=(told,),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            os.close(told)
            try:
                assert os.read(hears, 1), process.communicate()
                # Its state stays to be asked for by who waits for its end.
                found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                assert found is not None
                assert found.si_code == os.CLD_STOPPED, process.communicate()
                yield process
            finally:
                os.close(hears)
                process.kill()

    def ssh(self, cluster: str, host: str, command: str) -> subprocess.CompletedProcess[str]:
        config = f"hostfiles/{cluster}/ssh_config"
        return subprocess.run(
            ["ssh", "-F", config, *CHEAP, host, command],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS_S,
            check=False,
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path
