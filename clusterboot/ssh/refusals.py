"""What OpenSSH's sshd says where it turns a connection away before its banner, and what to do then."""

from __future__ import annotations

from dataclasses import dataclass

from .retry import SOON_S


@dataclass(frozen=True)
class Refusal:
    """One text that sshd sends in place of its banner.

    ``words`` is the text, empty where the connection ends without one; ``name`` is what a document
    calls it; ``cause`` and ``remedy`` are for the user. ``pauses_s`` are the pauses after which another
    try may be let in, in seconds.
    """

    words: str
    name: str
    cause: str
    remedy: str
    pauses_s: tuple[float, ...]


# A penalty lasts for 15 s or more once it is enforced. A try meanwhile does not prolong it, since
# drop_connection() starts no session process, but it is of no use either.
_LATER_S = (1.0, 4.0)

#: Source: drop_connection() in sshd.c. Since 9.8 one text stands for three reasons, which only sshd's
#: log tells apart: "Maxstartups" there is MaxStartups or PerSourceMaxStartups, and "penalty: …" is a
#: reason of PerSourcePenalties (srclimit_penalise() in srclimit.c).
REFUSALS = (
    # 8.2 to 9.7; from 8.5 on for PerSourceMaxStartups too.
    Refusal(
        "Exceeded MaxStartups",
        "crowded",
        "the server has too many logins in progress",
        "use a smaller --fanout, or raise MaxStartups (and PerSourceMaxStartups) in sshd_config there",
        SOON_S,
    ),
    # From 9.8 on.
    Refusal(
        "Not allowed at this time",
        "not-allowed",
        "the server accepts no connection from this source address for now",
        "look at 'drop connection' in sshd's log there: after 'penalty: …' wait until it ends (by default"
        " 10 minutes at most) or set PerSourcePenaltyExemptList, after 'Maxstartups' use a smaller --fanout"
        " or raise MaxStartups",
        _LATER_S,
    ),
    # Before 8.2 MaxStartups had no text. TCP wrappers have none in any release: refuse() of libwrap.
    Refusal(
        "",
        "closed",
        "the server hung up before its SSH banner",
        "look at sshd's log there: MaxStartups, a hosts.deny entry, or no memory for another process",
        SOON_S,
    ),
)


def refusal_of(said: str) -> Refusal | None:
    """Find the refusal that a server's first line is; ``None`` where it is none of OpenSSH's."""
    matching = (each for each in REFUSALS if (said.startswith(each.words) if each.words else not said))
    return next(matching, None)
