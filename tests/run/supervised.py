"""A supervisor under a real shell, for the tests of how runs end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from clusterboot.mpi.launcher import Command
from clusterboot.mpi.script_names import new_run_id, run_folder
from clusterboot.run.supervise import SupervisedEnd, SupervisedStream, render_supervisor

NONCE = "0123456789abcdef"


class Run:
    """A supervisor under a real shell, as ssh would start it.

    Each has a name of its own: at its end a run sweeps the machine for its name, and so would
    end others that had the same.
    """

    def __init__(
        self,
        shell: list[str],
        home: Path,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        *,
        run_id: str = "",
        others: tuple[str, ...] = (),
        agent: tuple[str, ...] = ("false",),
        **options: int,
    ) -> None:
        self.run_id = run_id or new_run_id()
        self.folder = home / run_folder("lab", self.run_id)
        script = render_supervisor(
            Command(argv, {"CLUSTERBOOT_RUN": self.run_id, **env}),
            cluster="lab",
            run_id=self.run_id,
            nonce=NONCE,
            deadline_s=options.get("deadline_s", 600),
            grace_s=options.get("grace_s", 1),
            silence_s=options.get("silence_s", 0),
            clear_s=options.get("clear_s", 60),
            others=others,
            agent=agent,
            files={"hostfile": "it's n1\nn2 slots=2\n"},
        )
        self.process = subprocess.Popen(
            [*shell, "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "HOME": str(home)},
        )
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr
        self.stream = SupervisedStream(NONCE)
        self.said = b""
        self.stdin.write(script.encode())
        self.stdin.flush()

    def read_until(self, mark: bytes) -> None:
        while mark not in self.said:
            data = os.read(self.stdout.fileno(), 65536)
            assert data, "the run ended too early"
            self.said += self.stream.feed(data)

    def finish(self) -> SupervisedEnd:
        self.said += self.stream.feed(self.stdout.read())
        self.errors = self.stderr.read()
        self.process.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()
        assert self.stream.end
        return self.stream.end
