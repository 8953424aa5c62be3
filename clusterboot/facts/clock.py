"""How far a node's clock is from the operator's, and how well that is known."""

from __future__ import annotations

import re

from clusterboot.nodes.question import Clock

# busybox's date has no %N and prints it as it stands: such a stamp is good to a second.
SCRIPT = "date +%s.%N 2>/dev/null"

_STAMP = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9})?.*)?")


def parse(first: str, last: str, sample: Clock | None) -> dict[str, float]:
    """Bound the skew from two stamps of the node's clock between two of the operator's.

    Parameters: what ``date`` said as the script began and as it ended; the operator's sample.
    Returns: fields of the node's record: the middle of what is possible and half its width. The first
    stamp was made after the script was sent and the last before its answer came, so the time that the
    script itself took widens nothing. Nothing where a stamp is missing or a clock was set meanwhile.
    Source: the same bounds as NTP's on-wire protocol, RFC 5905, section 8.
    """
    began, ended = _stamp(first), _stamp(last) or _stamp(first)
    if sample is None or began is None or ended is None:
        return {}
    highest = began[1] - sample.sent_at_s
    lowest = ended[0] - sample.received_at_s
    if lowest > highest or ended[1] < began[0]:
        return {}
    return {"clock_skew_s": (highest + lowest) / 2, "clock_error_s": (highest - lowest) / 2}


def _stamp(text: str) -> tuple[float, float] | None:
    """Give the earliest and latest time at which ``date`` can have printed ``text``."""
    match = _STAMP.fullmatch(text.strip())
    if not match:
        return None
    seconds, fraction = match[1], match[2]
    if fraction:
        time_s = float(f"{seconds}.{fraction}")
        return time_s, time_s
    return float(seconds), float(seconds) + 1
