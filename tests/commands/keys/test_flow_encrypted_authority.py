from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

PASSPHRASE = "correct horse canary staple"  # noqa: S105 - of a key that this test makes


def at_a_terminal(operator: Operator, typed: str, *args: str) -> tuple[int, str]:
    """Run a command at a terminal whose user types one line when a passphrase is asked for."""
    main, side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "clusterboot", *args],
        cwd=operator.folder,
        env=operator.environment(),
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    ) as process:
        os.close(side)
        said, answered = b"", False
        while True:
            try:
                chunk = os.read(main, 65536)
            except OSError:  # the terminal's other end is closed: EIO
                break
            if not chunk:
                break
            said += chunk
            if not answered and b"Passphrase for" in said:
                os.write(main, typed.encode() + b"\n")
                answered = True
        os.close(main)
        return process.wait(HANGS_S), said.decode("utf-8", "replace")


def test_an_encrypted_authority_is_asked_for_once_and_opens_for_nobody_else(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=2)
    cluster = ("--cluster", str(lab.cluster_file))
    state = operator.folder / "state/clusterboot" / lab.name
    code, said = at_a_terminal(operator, PASSPHRASE, "bootstrap", "--keys", "ca", "--encrypt-keys", *cluster)
    assert (code, said.count("Passphrase for")) == (0, 1), said
    assert (state / "ca_key").stat().st_mode & 0o777 == 0o600
    opened = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", state / "ca_key"], capture_output=True, check=False
    )
    assert opened.returncode != 0

    before = (state / "audit.jsonl").read_bytes()
    refused = operator.document("bootstrap", *cluster, expect=2)
    assert "is encrypted, and there is no terminal" in refused["error"]["cause"]
    assert refused["error"]["remedy"] == "run this at a terminal"
    code, said = at_a_terminal(operator, "wrong", "bootstrap", *cluster)
    assert (code, said.count("Passphrase for")) == (2, 1)
    assert f"that passphrase does not open {state / 'ca_key'}" in " ".join(said.split())
    assert (state / "audit.jsonl").read_bytes() == before

    held = (state / "ca_key").read_bytes()
    code, said = at_a_terminal(operator, PASSPHRASE, "rotate-keys", *cluster)
    assert (code, said.count("Passphrase for")) == (0, 1), said
    assert (state / "ca_key").read_bytes() != held
    # What follows an encrypted key is as well encrypted.
    for path in state.glob("ca_key*"):
        text = subprocess.run(
            ["ssh-keygen", "-y", "-P", "", "-f", path], capture_output=True, text=True, check=False
        )
        assert text.returncode != 0
    assert not any(
        PASSPHRASE.encode() in path.read_bytes() for path in operator.folder.rglob("*") if path.is_file()
    )
