"""Odd files of other people's, made by chance from a seed: what stands in real homes, and worse."""

from __future__ import annotations

import random
from collections.abc import Sequence

SEED = 20250101

# What somebody may have put before a key. sshd takes some of these and refuses others; which, it says.
KEY_OPTIONS = (
    "",
    "",
    "restrict ",
    'command="echo forced" ',
    'no-pty,environment="A=b",from="127.0.0.0/8" ',
    'from="192.0.2.1" ',
    'expiry-time="20200101" ',
    'nonsense="x" ',
    "  ",
    'command="echo \\"quoted\\" # here" ',
)
AUTHORIZED = (
    b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop me@there",
    b'restrict,command="echo \\"hi\\"" ssh-rsa AAAAB3NzaC1yc2E= x',
    b"# a comment, clusterboot:lab:n1 in it",
    b"  # indented",
    b"ssh-rsa junk",
    b"clusterboot:lab:n1",
    b"ssh-ed25519 AAAA clusterboot:other:n1",
    b"ssh-ed25519 AAAA clusterboot:lab:n1 and more",
    b"\xff\xfe caf\xe9 \x00 \x1b[31m",
    b"",
    b"\t",
    b"x" * 9000,
    b"a lone \r in a line",
)
CONFIG = (
    b"Host *",
    b"Host a b !c",
    b"  User somebody",
    b"\tPort=2222",
    b"Match host x",
    b"# Include clusterboot/lab/config",
    b"Include clusterboot/other/config",
    b"",
    b"  # caf\xe9",
    b'  IdentityFile "~/.ssh/with space"',
    b"  ProxyCommand nc %h %p",
    b"  ProxyJump bastion.example.org",
    b"  ControlMaster auto",
    b"  ControlPath ~/.ssh/%C",
    b"  ControlPersist 60",
    b"  PubkeyAuthentication no",
    b"  PreferredAuthentications password",
    b"  StrictHostKeyChecking no",
    b"  UserKnownHostsFile /dev/null",
    b"  LocalForward 1 localhost:1",
    b"  AddressFamily inet6",
    b"  ForwardAgent yes",
    b"  IgnoreUnknown UseKeychain,AddKeys*",
    b"  Compression yes",
)
#: A line that makes ssh refuse a whole configuration.
REFUSED = b"NoSuchOption yes"
KNOWN_HOSTS = (
    b"n1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
    b"foreign.example.org,192.0.2.7 ssh-ed25519 "
    b"AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop a comment",
    b"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAAB3NzaC1yc2E=",
    b"@cert-authority *.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3H",
    b"@revoked * ssh-ed25519 AAAA",
    b"[n2]:2222 ssh-rsa junk",
    b"# clusterboot:lab",
    b"\xff\xfe caf\xe9 \x00",
    b"",
    b"no key at all",
)


def seeded(more: int) -> random.Random:
    """Give the chance of one test."""
    return random.Random(SEED + more)  # noqa: S311  # chance for tests, not for keys


def odd(
    rng: random.Random, words: Sequence[bytes], wanted: Sequence[bytes] = (), *, long: bool = False
) -> bytes:
    """Make a file of some of ``words``, with each of ``wanted`` as a line of its own somewhere among them."""
    count = 10_000 if long or rng.random() < 0.01 else rng.randrange(12)
    short = [word for word in words if len(word) < 100 or count < 100]
    chosen = [rng.choice(short) for _ in range(count)]
    for line in wanted:
        chosen.insert(rng.randrange(len(chosen) + 1), line)
    content = b"".join(word + rng.choice((b"\n", b"\r\n", b"\n")) for word in chosen)
    return content.removesuffix(b"\n") if rng.random() < 0.4 else content
