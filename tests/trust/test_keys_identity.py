"""Which of a node's keys for the cluster is the one in use, and which would follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from clusterboot.nodes.question import Reply
from clusterboot.trust import survey
from clusterboot.trust.homes.known import NodeKey, Survey

if TYPE_CHECKING:
    from conftest import Home

    Ask = Callable[..., Survey]

CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQt n1\n"


def public(name: str) -> str:
    return f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{name.removeprefix('id_ed25519').replace('-', '/')}"


@pytest.fixture(params=(("/bin/sh",), ("bash",), ("busybox", "sh")), ids=" ".join)
def ask(request: pytest.FixtureRequest, make_home: Callable[..., Home]) -> Ask:
    """A function that surveys a home with the keys of these names, and with other files by name."""

    def surveyed(*keys: str, others: dict[str, str] | None = None) -> Survey:
        home = make_home(shell=request.param)
        folder = home.path / ".ssh/clusterboot/lab"
        files = dict.fromkeys(keys, "a private key")
        # As after an edit by hand, without the newline at the end.
        files |= {f"{name}.pub": f"{public(name)} clusterboot:lab" for name in keys}
        files |= others or {}
        if files:
            folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="ascii")
        question = survey.question("lab", make_key=False)
        found = question.parse(Reply(home.ask(question.sections).sections))
        assert set(found.key_files) == {name for name in files if name.startswith("id_")}
        return found

    return surveyed


def test_a_node_without_a_folder_has_no_key(ask: Ask) -> None:
    found = ask()
    assert (found.public_key, found.key, found.next_key, found.key_files) == (None, None, None, ())


def test_the_one_key_is_in_use_and_shown_with_its_certificate(ask: Ask) -> None:
    found = ask("id_ed25519", others={"id_ed25519-cert.pub": CERTIFICATE})
    assert found.key == NodeKey("id_ed25519", public("id_ed25519"), CERTIFICATE)
    assert found.next_key is None


def test_without_a_configuration_the_last_number_is_in_use(ask: Ask) -> None:
    found = ask("id_ed25519", "id_ed25519-2", "id_ed25519-10", others={"id_ed25519-99x": "a user's own"})
    assert found.key == NodeKey("id_ed25519-10", public("id_ed25519-10"))


def test_the_key_that_the_configuration_names_is_in_use_and_the_next_number_follows(ask: Ask) -> None:
    own = "Host n1 n2\n  User ubuntu\nHost *\n  IdentityFile ~/.ssh/clusterboot/lab/id_ed25519-2\n"
    found = ask("id_ed25519", "id_ed25519-2", "id_ed25519-3", others={"config": own})
    assert found.key == NodeKey("id_ed25519-2", public("id_ed25519-2"))
    assert found.next_key == NodeKey("id_ed25519-3", public("id_ed25519-3"))
