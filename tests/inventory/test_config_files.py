from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot.inventory.loader import load
from clusterboot.inventory.problems import ConfigError

FLEET = "type: fleet\nname: mine\nssh_config: {hosts: [n1]}\n"


def test_a_named_pipe_that_nobody_writes_into_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "cluster.yaml"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="the file is empty"):
        load(pipe, environ={})


def test_a_pipe_that_is_being_written_into_is_read(tmp_path: Path) -> None:
    # As a shell's <(…) gives one: its writer may be slower than its reader.
    out, into = os.pipe()
    go = threading.Event()

    def write() -> None:
        go.wait()
        os.write(into, FLEET.encode())
        os.close(into)

    writer = threading.Thread(target=write)
    writer.start()
    threading.Timer(0.1, go.set).start()
    try:
        assert load(Path(f"/dev/fd/{out}"), environ={"HOME": str(tmp_path)}).hosts[0].name == "n1"
    finally:
        writer.join()
        os.close(out)


def test_a_key_s_path_that_no_file_can_have_is_refused(problems_of: Callable[[str], list[str]]) -> None:
    (problem,) = problems_of(
        f"type: fleet\nname: mine\nssh_config:\n  hosts: [n1]\n  identity_file: {'x' * 300}\n"
    )
    assert problem.startswith("cluster.yaml:5: ")
    assert "File name too long" in problem


def test_a_home_that_is_no_folder_has_no_ssh_config(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(FLEET)
    cluster = load(tmp_path / "cluster.yaml", environ={"HOME": os.devnull})
    assert cluster.hosts[0].login.identity_files == ()
