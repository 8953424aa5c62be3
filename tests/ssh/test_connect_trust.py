"""What a host key is worth: pinned, unknown, changed, revoked, or vouched for by a CA."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterboot.errors import ClusterbootError, ExitCode, TrustError
from clusterboot.inventory.cluster import Login, TrustOptions
from clusterboot.ssh.knownhosts import fingerprint
from clusterboot.ssh.trust import TrustStore, UnknownHostKeyError

NewKey = Callable[..., Any]
NODE = Login("gpu1", "u")


class Store:
    """Makes trust stores from the text of a known_hosts file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = folder / "known_hosts"
        self.pins = folder / "state" / "pins"

    def __call__(self, text: str = "", *, accept_new: bool = False, **pins: str) -> TrustStore:
        self.known.write_text(text)
        options = TrustOptions(known_hosts=(self.known,), pins={name: (key,) for name, key in pins.items()})
        return TrustStore(options, self.pins, accept_new=accept_new, default_files=())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def key(new_key: NewKey) -> Any:
    return new_key("host")


@pytest.fixture
def other(new_key: NewKey) -> Any:
    return new_key("other")


@pytest.fixture
def sign(new_key: NewKey, tmp_path: Path) -> Callable[..., bytes]:
    """Have a CA sign a host key: ``sign(key, names, validity, ca=...)`` gives the certificate's bytes."""

    def certificate(
        key: Any, names: str, validity: str = "-5m:+1h", *, ca: Any, host: bool = True, options: str = ""
    ) -> bytes:
        argv = ["ssh-keygen", "-q", "-s", str(ca.path), "-I", "id", "-V", validity]
        argv += ["-h"] if host else []
        argv += ["-n", names] if names else []
        argv += ["-O", options] if options else []
        subprocess.run([*argv, f"{key.path}.pub"], check=True, capture_output=True)
        return base64.b64decode(Path(f"{key.path}-cert.pub").read_text().split()[1])

    return certificate


def test_a_pinned_key_is_believed_from_every_source(store: Store, key: Any) -> None:
    store(f"gpu1 {key.public}\n").check(NODE, key.blob)
    store(gpu1=key.public).check(NODE, key.blob)
    login = Login("gpu1", "u", known_hosts_files=(store.known,))
    store.known.write_text(f"gpu1 {key.public}\n")
    TrustStore(TrustOptions(), store.pins, default_files=()).check(login, key.blob)
    TrustStore(TrustOptions(), store.pins, default_files=(store.known,)).check(NODE, key.blob)


def test_a_logins_own_files_stand_for_the_default_ones(store: Store, key: Any, tmp_path: Path) -> None:
    store.known.write_text(f"gpu1 {key.public}\n")
    login = Login("gpu1", "u", known_hosts_files=(tmp_path / "none",))

    with pytest.raises(UnknownHostKeyError):
        TrustStore(TrustOptions(), store.pins, default_files=(store.known,)).check(login, key.blob)


def test_an_unknown_key_is_exit_5_and_shows_its_fingerprint(store: Store, key: Any) -> None:
    with pytest.raises(UnknownHostKeyError) as told:
        store().check(NODE, key.blob)

    assert told.value.exit_code is ExitCode.TRUST
    assert told.value.seen.fingerprint == fingerprint(key.blob)
    assert fingerprint(key.blob) in told.value.cause
    assert not store.pins.exists()


def test_a_changed_key_names_file_and_line_of_the_old_pin(store: Store, key: Any, other: Any) -> None:
    with pytest.raises(TrustError, match="has changed") as told:
        store(f"# c\ngpu2 {other.public}\ngpu1 {other.public}\n", accept_new=True).check(NODE, key.blob)

    assert not isinstance(told.value, UnknownHostKeyError)
    assert f"{store.known}:3" in told.value.cause
    assert (told.value.stage, told.value.status) == ("hostkey", "untrusted")


def test_a_host_that_does_not_offer_its_pinned_type_any_more_has_changed(
    store: Store, key: Any, new_key: NewKey
) -> None:
    ecdsa = new_key("e", kind="ecdsa")
    with pytest.raises(TrustError, match=r"a ssh-ed25519 key that it does not offer any more"):
        store(f"gpu1 {key.public}\n", accept_new=True).check(NODE, ecdsa.blob)


def test_the_pinned_types_are_preferred(store: Store, key: Any, new_key: NewKey) -> None:
    ecdsa = new_key("e", kind="ecdsa")

    assert store().key_types(NODE) == ()
    assert store(f"gpu1 {ecdsa.public}\n").key_types(NODE) == ("ecdsa-sha2-nistp256",)
    rsa = "ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa\0\0\0\0").decode()
    assert store(f"gpu1 {rsa}\n").key_types(NODE) == ("rsa-sha2-512", "rsa-sha2-256")
    with_ca = store(f"gpu1 {key.public}\n@cert-authority * {ecdsa.public}\n").key_types(NODE)
    assert with_ca[0] == "ssh-ed25519-cert-v01@openssh.com"
    assert with_ca[-1] == "ssh-ed25519"


def test_a_revoked_key_is_refused_even_where_it_is_pinned(store: Store, key: Any) -> None:
    with pytest.raises(TrustError, match=r"@revoked at .*:2"):
        store(f"gpu1 {key.public}\n@revoked * {key.public}\n", accept_new=True).check(NODE, key.blob)


def test_a_key_pinned_for_the_host_counts_for_its_other_ports_as_in_openssh(
    store: Store, key: Any, other: Any
) -> None:
    login = Login("gpu1", "u", 2222)

    store(f"[gpu1]:2222 {key.public}\n").check(login, key.blob)
    store(f"gpu1 {key.public}\n").check(login, key.blob)
    with pytest.raises(TrustError, match="has changed"):
        store(f"[gpu1]:2222 {other.public}\ngpu1 {key.public}\n").check(login, key.blob)
    with pytest.raises(TrustError, match="@revoked"):
        store(f"gpu1 {key.public}\n@revoked gpu1 {key.public}\n").check(login, key.blob)


def test_an_alias_is_the_only_name_that_counts(store: Store, key: Any) -> None:
    login = Login("10.0.0.1", "u", 2222, hostkey_alias="gpu1")

    store(f"gpu1 {key.public}\n").check(login, key.blob)
    for line in ("10.0.0.1", "[10.0.0.1]:2222", "[gpu1]:2222"):
        with pytest.raises(UnknownHostKeyError):
            store(f"{line} {key.public}\n").check(login, key.blob)


def test_accept_new_pins_once_and_for_good(store: Store, key: Any, other: Any) -> None:
    first = store(accept_new=True)
    first.check(NODE, key.blob)
    first.check(NODE, key.blob)

    assert [(a.name, a.fingerprint) for a in first.accepted] == [("gpu1", fingerprint(key.blob))]
    assert store.pins.read_text() == f"gpu1 {key.public}\n"
    with pytest.raises(TrustError, match="has changed"):
        first.check(NODE, other.blob)
    store().check(NODE, key.blob)


def test_of_two_keys_for_one_name_only_the_first_is_pinned(store: Store, key: Any, other: Any) -> None:
    trust = store()
    trust.pin(NODE, key.blob)

    with pytest.raises(TrustError, match="has changed"):
        trust.pin(NODE, other.blob)
    assert store.pins.read_text().count("gpu1") == 1


def test_a_pin_does_not_join_a_line_that_a_crash_left_unfinished(store: Store, key: Any) -> None:
    store.pins.parent.mkdir()
    store.pins.write_text("gpu9 ssh-ed25519 AAAA")
    store(accept_new=True).check(NODE, key.blob)

    store().check(NODE, key.blob)
    assert store.pins.read_text().startswith("gpu9 ssh-ed25519 AAAA\ngpu1 ")


def test_a_key_that_cannot_be_pinned_is_not_believed(store: Store, key: Any, tmp_path: Path) -> None:
    store.pins.mkdir(parents=True)

    with pytest.raises(ClusterbootError, match="cannot be written"):
        store(accept_new=True).check(NODE, key.blob)


def test_a_host_certificate_of_a_trusted_ca_is_believed(
    store: Store, key: Any, other: Any, sign: Callable[..., bytes]
) -> None:
    blob = sign(key, "gpu1,10.0.0.1", ca=other)
    trust = store(f"@cert-authority gpu* {other.public}\n")

    trust.check(NODE, blob)

    assert trust.proven_key(blob) == key.blob
    assert trust.pinned(NODE) == ()
    store(f"@cert-authority gpu* {other.public}\n").check(Login("gpu1", "u", 2222), blob)
    store(f"@cert-authority gpu* {other.public}\n").check(Login("10.0.0.9", "u", hostkey_alias="gpu1"), blob)


BAD = [
    ("gpu2", "-5m:+1h", {}, r"is for gpu2, not for gpu1"),
    ("", "-5m:+1h", {}, r"is for nobody, not for gpu1"),
    ("gpu1", "-2h:-1h", {}, r"expired at 2\d{3}-"),
    ("gpu1", "+1h:+2h", {}, r"is not valid before 2\d{3}-"),
    ("gpu1", "-5m:+1h", {"host": False}, r"is for users, not for hosts"),
    ("gpu1", "-5m:+1h", {"options": "critical:x=y"}, r"options that are not understood"),
]


@pytest.mark.parametrize(("names", "validity", "more", "words"), BAD)
def test_a_bad_certificate_of_a_trusted_ca_is_refused_with_the_reason(
    *,
    store: Store,
    key: Any,
    other: Any,
    sign: Callable[..., bytes],
    names: str,
    validity: str,
    more: Any,
    words: str,
) -> None:
    blob = sign(key, names, validity, ca=other, **more)

    with pytest.raises(TrustError, match=words) as told:
        store(f"@cert-authority * {other.public}\n", accept_new=True).check(NODE, blob)
    assert not isinstance(told.value, UnknownHostKeyError)
    # The plain key may be pinned all the same.
    store(f"@cert-authority * {other.public}\ngpu1 {key.public}\n").check(NODE, blob)


def test_a_certificate_of_another_ca_is_worth_its_plain_key(
    store: Store, key: Any, other: Any, new_key: NewKey, sign: Callable[..., bytes]
) -> None:
    blob = sign(key, "gpu1", ca=new_key("mallory"))

    with pytest.raises(UnknownHostKeyError) as told:
        store(f"@cert-authority * {other.public}\n").check(NODE, blob)
    assert told.value.blob == key.blob
    with pytest.raises(UnknownHostKeyError):
        store(f"@cert-authority gpu[2-9] {other.public}\n").check(NODE, sign(key, "gpu1", ca=other))


def test_a_revoked_ca_and_a_revoked_key_with_a_certificate_are_refused(
    store: Store, key: Any, other: Any, sign: Callable[..., bytes]
) -> None:
    blob = sign(key, "gpu1", ca=other)
    for revoked in (key, other):
        with pytest.raises(TrustError, match="@revoked"):
            store(f"@cert-authority * {other.public}\n@revoked * {revoked.public}\n").check(NODE, blob)


def test_a_certificate_whose_signature_was_tampered_with_is_refused(
    store: Store, key: Any, other: Any, sign: Callable[..., bytes]
) -> None:
    blob = bytearray(sign(key, "gpu2", ca=other))
    blob[blob.index(b"gpu2") + 3] = ord("1")

    with pytest.raises(TrustError, match="bad signature"):
        store(f"@cert-authority * {other.public}\n").check(NODE, bytes(blob))


@pytest.mark.parametrize("cut", [10, 40, 100, 200])
def test_half_a_certificate_is_an_unknown_key(
    store: Store, key: Any, other: Any, sign: Callable[..., bytes], cut: int
) -> None:
    with pytest.raises(UnknownHostKeyError):
        store(f"@cert-authority * {other.public}\n").check(NODE, sign(key, "gpu1", ca=other)[:cut])


def test_a_key_of_another_port_says_nothing_against_this_one(store: Store, key: Any, other: Any) -> None:
    """As for OpenSSH: behind a port forwarding each port has a host of its own."""
    login = Login("gpu1", "u", 2222)
    with pytest.raises(UnknownHostKeyError):
        store(f"gpu1 {other.public}\n[gpu1]:2223 {other.public}\n").check(login, key.blob)
    store(f"gpu1 {other.public}\n", accept_new=True).check(login, key.blob)
    assert store.pins.read_text().startswith("[gpu1]:2222 ")
    with pytest.raises(TrustError, match="@revoked"):
        store(f"@revoked gpu1 {key.public}\n").check(Login("gpu1", "u", 2224), key.blob)


def test_a_thousand_new_hosts_are_pinned_without_reading_all_lines_each_time(store: Store, key: Any) -> None:
    trust = store(accept_new=True)
    for number in range(1000):
        trust.check(Login(f"n{number}", "u"), key.blob)

    assert len(store.pins.read_text().splitlines()) == len(trust.accepted) == 1000
