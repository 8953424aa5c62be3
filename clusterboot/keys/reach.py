"""Which names and addresses a node's ssh configuration is for, written so that a newcomer is among them.

Where hosts have certificates, nothing that a node needs to know of another is in its files. So its
configuration need not change with the cluster, if what it applies to is not a list of hosts but
what their names and addresses have in common. ssh's patterns know no digits; ``gpu??`` without
those that have a letter in the place of a digit says the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from clusterboot.config.ssh_patterns import PatternSet

# What can stand in a host name and is no digit; ssh compares in lower case or as it is typed.
_NO_DIGITS = "abcdefghijklmnopqrstuvwxyz-._"
_LINE_CHARS = 950


def patterns(words: Iterable[str], network: str | None) -> tuple[str, ...]:
    """Write what ``words`` have in common as arguments of ``Host``, one line each.

    Parameters: names and addresses of hosts; the subnet of their addresses, if they have one.
    Returns: lines that together match all words, names like them with other numbers of as
    many digits or one more, and all addresses of the subnet. A name without digits stands for itself.
    """
    words = list(dict.fromkeys(words))
    lines = list(_of_network(ip_network(network))) if network else []
    shapes: dict[tuple[str, ...], list[set[int]]] = {}
    for word in words:
        if not _is_address(word):
            shape, widths = _shape(word)
            for known, width in zip(shapes.setdefault(shape, [set() for _ in widths]), widths, strict=True):
                known.add(width)
    for shape, lengths in shapes.items():
        if lengths and (line := _of_shape(shape, lengths)) is not None:
            lines.append(line)
    return (*lines, *chunks([word for word in words if not covers(lines, word)], _LINE_CHARS))


def covers(lines: Iterable[str], word: str) -> bool:
    """Tell whether one of the ``Host`` lines is for ``word``."""
    return any(PatternSet(line.split()).matches(word) for line in lines)


def _shape(name: str) -> tuple[tuple[str, ...], list[int]]:
    """Take the numbers out of a name's first label: what is around them, and how many digits each has."""
    label, dot, domain = name.partition(".")
    around = re.split(r"[0-9]+", label)
    return (*around[:-1], around[-1] + dot + domain), [len(run) for run in re.findall(r"[0-9]+", label)]


def _of_shape(shape: Sequence[str], lengths: Sequence[set[int]]) -> str | None:
    """Write one ``Host`` line for all names of a shape; ``None`` where old readers would cut it off."""
    wanted = [""]
    for part, known in zip(shape, lengths, strict=False):
        widths = sorted({*known, max(known) + 1})
        wanted = [f"{start}{part}{'?' * width}" for start in wanted for width in widths]
    unwanted = [
        f"!{'*'.join(shape[: at + 1])}*{letter}*{'*'.join(shape[at + 1 :])}"
        for at in range(len(shape) - 1)
        for letter in _NO_DIGITS
    ]
    line = " ".join((*(f"{start}{shape[-1]}" for start in wanted), *unwanted))
    return line if len(line) <= _LINE_CHARS else None


def _of_network(network: IPv4Network | IPv6Network) -> Iterator[str]:
    if isinstance(network, IPv6Network):
        # An address is written with its network's words first, and :: may stand for the last of them.
        words = [f"{int(word, 16):x}" for word in network.exploded.split("/")[0].split(":")]
        words = words[: network.prefixlen // 16]
        short = str(network.network_address).partition("::")[0]
        yield " ".join(
            dict.fromkeys((f"{':'.join(words)}:*", *((f"{short}::*",) if words[-1:] == ["0"] else ())))
        )
        return
    whole, rest = divmod(network.prefixlen, 8)
    octets = str(network.network_address).split(".")
    fixed, tail = octets[:whole], ["*"] * (3 - whole)
    values = range(int(octets[whole]), int(octets[whole]) + 2 ** (8 - rest)) if rest else ["*"]
    if whole == 4:
        yield str(network.network_address)
        return
    names = " ".join(f"!*{letter}*" for letter in _NO_DIGITS if letter != ".")
    for chunk in chunks([".".join((*fixed, str(value), *tail)) for value in values], 700):
        yield f"{chunk} {names}" if "*" in chunk else chunk


def _is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def chunks(words: Sequence[str], limit: int) -> Iterator[str]:
    """Put words together to lines of about ``limit`` characters at most."""
    line = ""
    for word in words:
        if line and len(line) + len(word) >= limit:
            yield line
            line = ""
        line = f"{line} {word}".lstrip()
    if line:
        yield line
