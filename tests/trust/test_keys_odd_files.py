from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from patience import HANGS_S

from clusterboot.trust import authority
from clusterboot.trust.homes import tagged_lines
from clusterboot.trust.homes.known import Edit, Member, NodeFile, Terms
from clusterboot.trust.homes.nodeconfig import render_config
from odd_files import AUTHORIZED, CONFIG, REFUSED, odd, seeded

if TYPE_CHECKING:
    from conftest import Home

FILES = 240
KEYS = (".ssh/authorized_keys", ".ssh/config")
_CONFIG = (*CONFIG, REFUSED)


def members(generation: int) -> tuple[Member, ...]:
    keys = (f"ssh-ed25519 AAAA{generation}{number:03d}" for number in range(3))
    return tuple(
        Member(f"n{n}", "u", 22, f"10.1.0.{n}", (), (f"10.1.0.{n}",), key, (), f"n{n}")
        for n, key in enumerate(keys)
    )


def apply(content: bytes, edit: Edit | None) -> bytes:
    assert edit is None or edit.old.content == content
    return content if edit is None else edit.new


def foreign(content: bytes) -> str:
    """The digest of what is left without clusterboot's own lines."""
    back = tagged_lines.take_back(NodeFile("x", "file", content), "lab", created=False)
    return hashlib.sha256(apply(content, back)).hexdigest()


def life() -> list[tuple[tuple[Member, ...], Terms]]:
    """Bootstrap, a change of mode, a rotation, and the way back, each phase by phase."""
    steps = [(members(1), Terms())]
    for generation, terms in (
        (2, Terms("ca", "ssh-ed25519 AAAAca1")),
        (3, Terms("ca", "ssh-ed25519 AAAAca2")),
        (4, Terms("shared", "ssh-ed25519 AAAAshared", "id_shared-1")),
        (5, Terms()),
    ):
        steps += [(members(generation), replace(terms, phase=phase)) for phase in ("in", "out")]  # type: ignore[arg-type]
    return steps


def test_foreign_bytes_of_odd_files_are_intact_through_a_whole_life() -> None:
    rng = seeded(0)
    for number in range(FILES):
        keys, config = odd(rng, AUTHORIZED), odd(rng, _CONFIG)
        first = {
            name: hashlib.sha256(text).hexdigest() for name, text in zip(KEYS, (keys, config), strict=True)
        }
        now, then = keys, config
        for cast, terms in life():
            file = NodeFile(KEYS[0], "file", now)
            now = apply(now, tagged_lines.edit_authorized_keys(file, "lab", cast, (), terms))
            block = render_config("lab", cast, cheap_exchange=False) if number % 3 == 0 else None
            then = apply(then, tagged_lines.edit_config(NodeFile(KEYS[1], "file", then), "lab", block))
            assert foreign(now) == first[KEYS[0]], (number, terms)
            assert foreign(then) == first[KEYS[1]], (number, terms)
            assert now.endswith(keys)
            assert then.endswith(config)
        back = tagged_lines.take_back(NodeFile(KEYS[0], "file", now), "lab", created=False)
        assert apply(now, back) == keys
        back = tagged_lines.take_back(NodeFile(KEYS[1], "file", then), "lab", created=False)
        assert apply(then, back) == config


def test_odd_files_go_through_the_real_script_and_come_back(make_home: Callable[..., Home]) -> None:
    rng = seeded(1)
    for number in range(12):
        long = number == 11
        files = {
            "authorized_keys": odd(rng, AUTHORIZED, long=long),
            "config": odd(rng, _CONFIG, long=long),
        }
        home = make_home(f"home{number}", **files)
        before = home.contents()
        for generation in (1, 2):
            home.install(members(generation))
        assert home.authorized_keys.read_bytes().endswith(files["authorized_keys"])
        home.take_back()
        assert home.contents() == before, (number, files)


def _takes(path: Path) -> bool:
    asked = ["ssh", "-G", "-F", str(path), "somewhere"]
    return subprocess.run(asked, capture_output=True, check=False, timeout=HANGS_S).returncode == 0


@pytest.mark.parametrize("block", [False, True])
def test_ssh_takes_the_result_wherever_it_took_the_original(tmp_path: Path, block: bool) -> None:
    rng = seeded(2)
    text = render_config("lab", members(1), cheap_exchange=False)
    taken = 0
    for number in range(60):
        content = odd(rng, _CONFIG)
        path = tmp_path / str(number)
        path.write_bytes(content)
        took = _takes(path)
        taken += took
        edit = tagged_lines.edit_config(NodeFile(KEYS[1], "file", content), "lab", text if block else None)
        path.write_bytes(apply(content, edit))
        assert _takes(path) == took, content
    assert 5 < taken < 60


def test_a_certificate_says_who_from_where_and_nothing_more(tmp_path: Path) -> None:
    held = authority.create(tmp_path / "ca_key", "a passphrase")
    assert (tmp_path / "ca_key").stat().st_mode & 0o777 == 0o600
    again = authority.load(tmp_path / "ca_key", lambda _: "a passphrase")
    assert again is not None
    assert again.public == held.public
    node = authority.create(tmp_path / "node")
    sources = ("10.1.0.1", "127.0.0.0/8", "::1/128")
    text = authority.user_certificate(held, "lab", "n1", node.public, sources, now_s=1_700_000_000.0)
    (tmp_path / "cert.pub").write_text(text)
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", tmp_path / "cert.pub"], capture_output=True, text=True, check=True
    ).stdout
    assert "Extensions: (none)" in shown
    assert "source-address 10.1.0.1,127.0.0.0/8,::1/128" in shown
    state = authority.read_certificate(text)
    assert state is not None
    assert (state.principals, state.signer, state.public_key) == (
        ("clusterboot-lab",),
        held.public,
        node.public,
    )
    assert (state.valid_after_s, state.valid_before_s) == (1_700_000_000 - 300, 1_700_000_000 + 24 * 3600)
    assert [state.is_due(1_700_000_000.0 + hours * 3600) for hours in (-1, 0, 11.9, 12.1, 25)] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert authority.read_certificate(text.replace(text[100:104], "AAAA")) is None
