"""A file of somebody else's keys, and two nodes whose keys come into it."""

from __future__ import annotations

from clusterboot.trust.homes.known import Member

FOREIGN = b"# caf\xe9\r\nssh-ed25519 AAAAC3 me@there\nno newline at the end"


def member(number: int) -> Member:
    key = f"ssh-ed25519 AAAA{number:04d}"
    return Member(f"n{number}", "u", 22, f"10.1.0.{number}", (), (f"10.1.0.{number}",), key, (), f"n{number}")


MEMBERS = (member(1), member(2))
