"""Quantities as people write them: bytes, link rates, GB/s, microseconds."""

from __future__ import annotations

import re

# No more digits than a number has any use for: one of hundreds would be infinite.
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_RATE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([kmgt]?)bit(?:/s|ps)?", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Read a message size as nccl-tests does: ``8``, ``32M``, ``1.5G``; powers of 1024.

    Returns: bytes. Errors: ``ValueError`` naming the text.
    Source: ``parsesize`` in nccl-tests' ``src/common.cu``.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text}' is not a size; write bytes, or a number with K, M, G or T")
    return int(float(match[1]) * 1024 ** _POWER[match[2].lower()])


def parse_rate(text: str) -> int:
    """Read a link rate as ``tc`` does: ``1gbit``, ``100mbit``; powers of 1000.

    Returns: bits a second. Errors: ``ValueError`` naming the text.
    Source: tc(8), PARAMETERS, RATES.
    """
    match = _RATE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text}' is not a link rate; write one like 1gbit or 100mbit")
    return int(float(match[1]) * 1000 ** _POWER[match[2].lower()])


def format_size(size_bytes: int) -> str:
    """Write bytes short and exact to three digits, in powers of 1024: ``1.5 MiB``."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def gb_s(size_bytes: int, time_us: float) -> float:
    """Give the rate of ``size_bytes`` in ``time_us`` as nccl-tests does: 10^9 bytes a second."""
    return size_bytes / time_us / 1000 if time_us > 0 else 0.0


def percent(share: float) -> str:
    """Write a share with two digits: ``3.8%``."""
    return f"{100 * share:.2g}%"
