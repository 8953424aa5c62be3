"""known_hosts files are read as OpenSSH reads them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.ssh.knownhosts import fingerprint, read_lines, render_line

NewKey = Callable[..., Any]


def found(text: bytes, name: str) -> list[tuple[int, str]]:
    return [(line.line, line.marker) for line in read_lines(text, "f") if line.covers(name)]


@pytest.fixture
def key(new_key: NewKey) -> str:
    return str(new_key("a").public)


CASES = [
    ("plain {key}", "plain", True),
    ("plain {key}", "PLAIN", True),
    ("Plain {key}", "plain", True),
    ("plain {key} a comment", "plain", True),
    ("   plain\t{key}", "plain", True),
    ("one,two {key}", "two", True),
    ("one,two {key}", "three", False),
    ("*.example.com {key}", "a.example.com", True),
    ("*.example.com {key}", "example.com", False),
    ("gpu? {key}", "gpu1", True),
    ("gpu? {key}", "gpu10", False),
    ("*,!bad {key}", "good", True),
    ("*,!bad {key}", "bad", False),
    ("!bad {key}", "good", False),
    ("[host]:2222 {key}", "[host]:2222", True),
    ("[host]:2222 {key}", "host", False),
    ("[h]:2 {key}", "h:2", False),
    ("[*]:2222 {key}", "[any]:2222", True),
    ("fe80::1 {key}", "fe80::1", True),
    ("# plain {key}", "plain", False),
    ("plain {key}\r", "plain", True),
    ("@revoked plain {key}", "plain", True),
    ("@cert-authority *.x {key}", "a.x", True),
    ("@unheard-of plain {key}", "plain", False),
    ("@revoked @revoked plain {key}", "plain", False),
    ("plain {key_type}", "plain", False),
    ("plain", "plain", False),
]
# ssh-keygen -F looks at names only; ssh passes over such lines.
JUNK = [
    ("plain ssh-ed25519 notbase64!", "plain", False),
    ("plain ssh-rsa {blob}", "plain", False),
    ("plain 1024 35 1234567", "plain", False),
]


@pytest.mark.parametrize(
    ("line", "name", "expected"), CASES + JUNK, ids=[f"{c[0]}|{c[1]}" for c in CASES + JUNK]
)
def test_a_line_speaks_of_a_host_or_not(key: str, line: str, name: str, expected: bool) -> None:
    key_type, blob = key.split()
    text = line.format(key=key, blob=blob, key_type=key_type).encode()

    assert bool(found(b"\xff\xfe junk\n" + text + b"\n", name)) is expected


@pytest.mark.parametrize(("line", "name", "expected"), CASES)
def test_ssh_keygen_says_the_same(key: str, line: str, name: str, expected: bool, tmp_path: Path) -> None:
    key_type, blob = key.split()
    path = tmp_path / "known_hosts"
    path.write_text(line.format(key=key, blob=blob, key_type=key_type) + "\n", newline="")

    # ssh looks names up in small letters, ssh-keygen as they are given.
    told = subprocess.run(
        ["ssh-keygen", "-F", name.lower(), "-f", str(path)], capture_output=True, text=True, check=False
    )

    assert bool(told.stdout) is expected


def test_names_hashed_by_ssh_keygen_are_found(key: str, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"gpu1 {key}\n[gpu2]:2222 {key}\n@cert-authority gpu3 {key}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], capture_output=True, check=True)
    text = path.read_bytes()

    assert b"gpu1" not in text
    assert found(text, "gpu1") == [(1, "")]
    assert found(text, "GPU1") == [(1, "")]
    assert found(text, "[gpu2]:2222") == [(2, "")]
    assert found(text, "gpu2") == []


@pytest.mark.parametrize("names", ["|1|", "|1||", "|2|AAAA|AAAA", "|1|*|*", "|1|AAAA", "|1|AAAA|AAAA|x", "|"])
def test_a_broken_hash_matches_nothing(key: str, names: str) -> None:
    assert found(f"{names} {key}".encode(), "host") == []


def test_a_line_tells_where_it_stands_and_what_it_is(key: str) -> None:
    lines = list(read_lines(f"# c\n\n@revoked a {key}\nb {key}\n".encode(), "/etc/kh"))

    assert [(line.where, line.marker, line.key_type) for line in lines] == [
        ("/etc/kh:3", "@revoked", "ssh-ed25519"),
        ("/etc/kh:4", "", "ssh-ed25519"),
    ]


def test_a_fingerprint_is_what_ssh_keygen_prints(new_key: NewKey) -> None:
    key = new_key("k", kind="ecdsa")
    told = subprocess.run(
        ["ssh-keygen", "-lf", f"{key.path}.pub"], capture_output=True, text=True, check=True
    )

    assert fingerprint(key.blob) == told.stdout.split()[1]


def test_a_rendered_line_is_read_again(new_key: NewKey) -> None:
    key = new_key("k")
    (line,) = read_lines(render_line("[h]:22022", key.blob).encode(), "f")

    assert line.covers("[h]:22022")
    assert line.blob == key.blob


@given(st.binary(max_size=300), st.text(max_size=20))
def test_no_bytes_break_the_reader(data: bytes, name: str) -> None:
    for line in read_lines(data, "f"):
        line.covers(name)
