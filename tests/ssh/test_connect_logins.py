"""Which keys open a real sshd's door, and what is said where none does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from connect_helpers import Way, echo, error_of, signed  # type: ignore[import-not-found]

from clusterboot.inventory.cluster import Host

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("no_threads_left")]

NewKey = Callable[..., Any]


def test_many_logins_at_once_may_use_one_agent(
    way: Way, sshd: Any, agent: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = sshd("MaxStartups 100")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(server.login_key))
    login = replace(server.login, identity_files=(), identities_only=False)
    fleet = way.fleet(known=server.known(), fanout=32)

    outcomes = fleet.each([Host(f"n{i}", login) for i in range(32)], echo)

    assert set(outcomes.values()) == {"hello\n"}


@pytest.mark.parametrize("certified", [False, True])
def test_keys_and_certificates_of_an_agent_open_the_door(
    *,
    way: Way,
    sshd: Any,
    new_key: NewKey,
    agent: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    certified: bool,
) -> None:
    ca, key = new_key("ca"), new_key("k")
    server = sshd(f"TrustedUserCAKeys {ca.path}.pub")
    if certified:
        signed(key, ca)
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(key if certified else server.login_key))
    login = replace(server.login, identity_files=(), identities_only=False)

    assert way.fleet(known=server.known()).each([Host("n", login)], echo) == {"n": "hello\n"}


def test_a_certificate_file_goes_with_an_agents_key(
    *,
    way: Way,
    sshd: Any,
    new_key: NewKey,
    agent: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    ca, key = new_key("ca"), new_key("k")
    server = sshd(f"TrustedUserCAKeys {ca.path}.pub")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(key))
    certificate = signed(key, ca, tmp_path / "cert")
    login = replace(server.login, identity_files=(), identities_only=False, certificate_files=(certificate,))

    assert way.fleet(known=server.known()).each([Host("n", login)], echo) == {"n": "hello\n"}


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_user_certificate_opens_the_door(way: Way, sshd: Any, new_key: NewKey, kind: str) -> None:
    ca, key = new_key("ca"), new_key("k", kind=kind)
    server = sshd(f"TrustedUserCAKeys {ca.path}.pub")
    signed(key, ca)

    host = Host("n", replace(server.login, identity_files=(key.path,)))
    assert way.fleet(known=server.known()).each([host], echo) == {"n": "hello\n"}
    assert server.attempts == 1


@pytest.mark.parametrize(
    ("validity", "words"), [("-2h:-1h", "expired at 2"), ("+1h:+2h", "is not valid before 2")]
)
def test_an_expired_or_future_certificate_is_named(
    way: Way, sshd: Any, new_key: NewKey, validity: str, words: str
) -> None:
    ca, key = new_key("ca"), new_key("k")
    server = sshd(f"TrustedUserCAKeys {ca.path}.pub")
    signed(key, ca, validity=validity)

    host = Host("n", replace(server.login, identity_files=(key.path,)))
    error = error_of(way.fleet(known=server.known()).each([host], echo)["n"])

    assert (error.host, error.stage) == ("n", "auth")
    assert words in error.cause
    assert "sign the certificate anew" in (error.remedy or "")


def test_too_many_keys_are_told_and_never_tried_again(
    way: Way, sshd: Any, new_key: NewKey, agent: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = sshd("MaxAuthTries 3")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(*(new_key(f"k{i}") for i in range(10))))
    login = replace(server.login, identity_files=(), identities_only=False)

    error = error_of(way.fleet(known=server.known()).each([Host("n", login)], echo)["n"])

    assert (error.stage, "too many keys offered" in error.cause) == ("auth", True)
    assert "identity_file" in (error.remedy or "")
    assert server.attempts == 3
    assert server.said.count("Connection from") == 1
    # With the one key named, the agent's are not offered.
    assert way.fleet(known=server.known()).each([server.host], echo) == {"node": "hello\n"}


def test_a_wrong_key_is_refused_once(way: Way, sshd: Any, new_key: NewKey) -> None:
    server = sshd()
    host = Host("n", replace(server.login, identity_files=(new_key("wrong").path,)))

    error = error_of(way.fleet(known=server.known()).each([host], echo)["n"])

    assert (error.stage, error.cause.startswith("key refused for root")) == ("auth", True)
    assert server.said.count("Connection from") == server.attempts == 1


def test_a_server_without_public_keys_is_told(way: Way, sshd: Any) -> None:
    server = sshd("PubkeyAuthentication no", "PasswordAuthentication yes", "PermitRootLogin yes")

    error = error_of(way.fleet(known=server.known()).each([server.host], echo)["node"])

    assert error.cause == "the server takes no keys, only password"


def test_an_agent_that_will_not_sign_is_told(
    way: Way, sshd: Any, agent: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = sshd()
    sock = agent(server.login_key)
    monkeypatch.setenv("SSH_AUTH_SOCK", sock)
    login = replace(server.login, identity_files=(), identities_only=False)
    fleet = way.fleet(known=server.known())
    fleet.door.identities.prepare(login)
    subprocess.run(
        ["ssh-add", "-q", "-D"],
        env={**os.environ, "SSH_AUTH_SOCK": sock},
        check=True,
        capture_output=True,
    )

    error = error_of(fleet.each([Host("n", login)], echo)["n"])

    assert (error.stage, "ssh-agent refused to sign" in error.cause) == ("auth", True)


def test_no_key_at_all_is_told(way: Way, sshd: Any) -> None:
    server = sshd()
    login = replace(server.login, identity_files=(), identities_only=False)

    error = error_of(way.fleet(known=server.known()).each([Host("n", login)], echo)["n"])

    assert error.cause == "no key to log in as root with"
