from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot.nodes import script
from clusterboot.nodes.question import Reply
from clusterboot.nodes.script import Answer, Section
from clusterboot.trust import survey, taking_back
from clusterboot.trust.homes import install, tagged_lines
from clusterboot.trust.homes.known import Edit, Member

CLUSTER = "lab"


@dataclass(frozen=True)
class Home:
    """A home on this machine in which a node's scripts are run, as they are run on a node."""

    path: Path
    interpreter: Sequence[str] = ("/bin/sh",)
    faults: list[int] = field(default_factory=list)
    cluster: str = CLUSTER

    @property
    def authorized_keys(self) -> Path:
        return self.path / ".ssh/authorized_keys"

    @property
    def config(self) -> Path:
        return self.path / ".ssh/config"

    def ask(self, sections: Iterable[Section], **env: str) -> Answer:
        nonce = script.new_nonce()
        done = subprocess.run(
            [*self.interpreter, "-s"],
            input=script.render(tuple(sections), nonce).encode(),
            env={"PATH": os.environ["PATH"], "HOME": str(self.path), **env},
            capture_output=True,
            timeout=HANGS_S,
            check=False,
        )
        self.faults.append(done.returncode)
        return script.read(done.stdout, nonce)

    def edits(self, members: Sequence[Member]) -> tuple[Edit, ...]:
        names = ("authorized_keys", "config")
        answer = self.ask(survey.file_section(name, self.cluster) for name in names)
        files = [survey.parse_file(answer.sections, name, self.cluster) for name in names]
        keys, config = (survey.usable(file) for file in files)
        found = (
            tagged_lines.edit_config(config, self.cluster),
            tagged_lines.edit_authorized_keys(keys, self.cluster, members, ()),
        )
        return tuple(survey.changeable(edit) for edit in found if edit is not None)

    def install(self, members: Sequence[Member], **env: str) -> tuple[str, ...]:
        edits = self.edits(members)
        left = self.ask([Section("keys.left", survey.SHOW_LEFT)]).sections["keys.left"].text
        if not edits and not left:
            return ()
        patience = {"cb_waited_max": "20", "cb_silence_max": "1"}
        answer = self.ask([install.section(self.cluster, edits)], **patience, **env)
        return install.parse(answer.sections["keys.install"], edits) if answer.complete else ()

    def take_back(self, **env: str) -> None:
        question = taking_back.remains(self.cluster)
        edits = question.parse(Reply(self.ask(question.sections).sections)).edits
        answer = self.ask([install.removal_section(self.cluster, edits)], **env)
        if answer.complete:
            install.parse(answer.sections["keys.install"], edits)

    def contents(self) -> dict[str, bytes | str]:
        """Everything below the home: a file's bytes, a link's target."""
        return {
            str(path.relative_to(self.path)): str(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else "folder"
            for path in self.path.rglob("*")
        }


@pytest.fixture
def fast_path() -> Iterator[Path]:
    """A folder in memory: the scripts wait for the disk after each write."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def make_home(fast_path: Path) -> Callable[..., Home]:
    """A function that makes homes with a ``.ssh``: ``make_home("n1", authorized_keys=b"…")``."""

    def make(name: str = "home", shell: Sequence[str] = ("/bin/sh",), **files: bytes) -> Home:
        home = Home(fast_path / name, shell)
        (home.path / ".ssh").mkdir(parents=True, mode=0o700)
        for file, content in files.items():
            (home.path / ".ssh" / file).write_bytes(content)
            (home.path / ".ssh" / file).chmod(0o600)
        return home

    return make
