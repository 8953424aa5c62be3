"""Which keys are offered where: files, certificates, agents, and nothing else."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from connect_helpers import signed  # type: ignore[import-not-found]

from clusterboot.errors import UsageError
from clusterboot.inventory.cluster import Login
from clusterboot.ssh.identity import IdentityStore

NewKey = Callable[..., Any]


@pytest.fixture
def new_store() -> Iterator[Callable[..., IdentityStore]]:
    made: list[IdentityStore] = []

    def make(ask: Callable[[Path], str] | None = None) -> IdentityStore:
        made.append(IdentityStore(ask))
        return made[-1]

    yield make
    for store in made:
        store.close()


NewStore = Callable[..., IdentityStore]


def labels(store: IdentityStore, login: Login) -> list[str]:
    return [identity.label.rpartition("/")[2] for identity in store.of(login)]


def login_with(*keys: Any, only: bool = True, **more: Any) -> Login:
    return Login("gpu1", "u", identity_files=tuple(key.path for key in keys), identities_only=only, **more)


def test_files_come_in_order_and_then_the_agents_keys(
    new_store: NewStore, new_key: NewKey, agent: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, third = new_key("one"), new_key("two"), new_key("third")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(two, third))
    store = new_store()

    assert labels(store, login_with(one)) == ["one"]
    # A key that is also a file is offered once.
    offered = [identity.fingerprint for identity in store.of(login_with(one, two, only=False))]
    assert len(offered) == len(set(offered)) == 3
    assert labels(store, login_with(only=True)) == []


def test_an_agent_is_found_where_the_login_says(
    new_store: NewStore,
    new_key: NewKey,
    agent: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    one, two = new_key("one"), new_key("two")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(one))
    other = agent(two)
    store = new_store()

    def blobs(where: str | None) -> list[bytes]:
        return [identity.blob for identity in store.of(login_with(only=False, identity_agent=where))]

    assert blobs(None) == [one.blob]
    assert blobs(other) == [two.blob]
    assert blobs("none") == []
    assert blobs(str(tmp_path / "stale")) == []


def test_a_stale_socket_is_no_reason_to_fail(
    new_store: NewStore, new_key: NewKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dead = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(dead))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(dead))

    assert labels(new_store(), login_with(new_key("one"), only=False)) == ["one"]


def test_an_encrypted_key_is_asked_for_once(new_store: NewStore, new_key: NewKey) -> None:
    key = new_key("sealed", passphrase="open sesame")  # noqa: S106
    Path(f"{key.path}-cert.pub").write_text("junk")
    asked: list[Path] = []

    def ask(path: Path) -> str:
        asked.append(path)
        return "open sesame"

    store = new_store(ask)
    logins = [login_with(key), replace(login_with(key), hostname="gpu2"), login_with(key, only=False)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda login: [i.blob for i in store.of(login)], logins * 10))

    assert found == [[key.blob]] * 30
    assert asked == [key.path]


def test_an_encrypted_key_that_the_agent_has_is_not_asked_for(
    new_store: NewStore, new_key: NewKey, agent: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key("sealed")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(key, new_key("other")))
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(key.path)], check=True, capture_output=True
    )
    store = new_store(lambda _: pytest.fail("asked"))

    assert [identity.blob for identity in store.of(login_with(key))] == [key.blob]
    Path(f"{key.path}.pub").unlink()
    assert [identity.blob for identity in new_store().of(login_with(key))] == [key.blob]


def test_a_public_key_file_means_the_agents_key(
    new_store: NewStore, new_key: NewKey, agent: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key("one")
    login = replace(login_with(key), identity_files=(Path(f"{key.path}.pub"),))
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(new_key("two"), key))

    assert [identity.blob for identity in new_store().of(login)] == [key.blob]
    with pytest.raises(UsageError, match="ssh-agent does not have"):
        new_store().prepare(replace(login, identity_agent="none"))


def test_a_key_that_cannot_be_used_is_an_error_where_it_is_the_only_one(
    new_store: NewStore, new_key: NewKey, tmp_path: Path
) -> None:
    sealed, good, junk = new_key("sealed", passphrase="x"), new_key("good"), tmp_path / "junk"  # noqa: S106
    junk.write_text("no key")
    absent = Login("gpu1", "u", identity_files=(tmp_path / "absent",), identities_only=True)

    with pytest.raises(UsageError, match="is encrypted and there is no terminal"):
        new_store().prepare(login_with(sealed))
    with pytest.raises(UsageError, match="wrong passphrase"):
        new_store(lambda _: "y").prepare(login_with(sealed))
    with pytest.raises(UsageError, match="not a usable private key"):
        new_store().prepare(Login("gpu1", "u", identity_files=(junk,), identities_only=True))
    with pytest.raises(UsageError, match="No such file"):
        new_store().prepare(absent)
    store = new_store()
    assert labels(store, login_with(sealed, good, only=False)) == ["good"]
    assert "is encrypted" in store.unusable(login_with(sealed, good, only=False))[0]


def test_a_certificate_beside_a_key_or_named_for_it_comes_first(
    new_store: NewStore, new_key: NewKey, tmp_path: Path
) -> None:
    key, other, ca = new_key("k"), new_key("o"), new_key("ca")
    elsewhere = signed(key, ca, tmp_path / "elsewhere.pub")
    named = login_with(other, key, certificate_files=(elsewhere,))
    assert labels(new_store(), named) == ["elsewhere.pub", "o", "k"]

    signed(key, ca)
    assert labels(new_store(), login_with(key)) == ["k-cert.pub", "k"]
    assert labels(new_store(), login_with(other, certificate_files=(elsewhere,))) == ["o"]
