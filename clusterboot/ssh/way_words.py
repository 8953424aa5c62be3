"""What is wrong with a way in, read from OpenSSH's own words: stage, cause and remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterboot.errors import UnreachableError
from clusterboot.inventory.cluster import Login
from clusterboot.printable import listed, one_line

from .refusals import REFUSALS, refusal_of
from .retry import TurnedAwayError
from .way_log import AUTH, BANNER, CONNECT, EXCHANGE, WayLog

_MOST_NAMED = 4


@dataclass(frozen=True)
class Told:
    """One of OpenSSH's messages: its words, and what is said of it; ``{}`` takes the words' first group."""

    words: re.Pattern[str]
    stage: str
    cause: str
    remedy: str


_FIREWALL = "check address, port, firewall, and that sshd runs there"
#: Source: the messages of sshconnect.c, kex.c and packet.c.
TABLE = (
    Told(
        re.compile(r"Could not resolve hostname \S+: (.*)"),
        "resolve",
        "the name does not resolve ({})",
        "check the name, or write an address in the cluster file",
    ),
    Told(
        re.compile(r"connect to host \S+ port \d+: (.*)"),
        "connect",
        "cannot connect to port {port}: {}",
        _FIREWALL,
    ),
    Told(
        re.compile(r"Unable to negotiate with .*? port \d+: (.*)"),
        "hostkey",
        "key exchange failed: {}",
        "look at sshd's log and its KexAlgorithms, Ciphers and HostKeyAlgorithms there",
    ),
    Told(
        re.compile(r"(Too many authentication failures)"),
        "auth",
        "too many keys offered: the server hung up after {offers} ({offered})",
        "name the one identity_file that opens this account",
    ),
)

_REFUSED_REMEDY = (
    "add the public key to the file that AuthorizedKeysFile names there, check owner and mode of the home"
    " and that file, or name another user or identity_file"
)
_ASKED_REMEDY = (
    "run it on a terminal, set SSH_ASKPASS, or open a master beforehand: 'ssh -M -N -o ControlPath=…' with"
    " that ControlPath in ssh_config for this host"
)


def failure(log: WayLog, login: Login, *, answered: bool) -> UnreachableError:
    """Say why the ``ssh`` process to a gateway ended before it was logged in.

    Parameters: what it said; ``answered`` tells whether somebody was there to answer its questions.
    Returns: an error with the gateway as its host; :class:`TurnedAwayError` where another try may do better.
    """
    offered = listed([f"{one_line(path)} {key}" for path, key in log.offered], _MOST_NAMED)
    for told in TABLE:
        line = log.says(told.words.pattern)
        if line is not None and (match := told.words.search(line)) is not None:
            values = {"port": login.port, "offered": offered, "offers": len(log.offered)}
            cause = told.cause.format(match[1], **values)
            return _error(login, told.stage, cause, told.remedy)
    if log.step <= CONNECT:
        return _error(login, "connect", last(log, "ssh ended"), _FIREWALL)
    if log.step == BANNER:
        return _hung_up(log, login)
    if log.step == EXCHANGE:
        return TurnedAwayError(
            "hostkey: the server hung up during the key exchange",
            host=login.place,
            stage="gateway",
            remedy="look at sshd's log there",
        )
    if log.step >= AUTH and log.says("Permission denied"):
        return _refused(log, login, offered, answered=answered)
    words = last(log, "")
    cause = f"the server hung up during the login as {login.user}" + (f": {words}" if words else "")
    return _error(login, "auth", cause, f"look at sshd's log there; offered was {offered or 'no key'}")


def late(log: WayLog, login: Login, words: str) -> UnreachableError:
    """Say that a login to a gateway came no further in its time; ``words`` say which time."""
    if log.step == CONNECT:
        return _error(login, "connect", f"cannot connect to port {login.port}: no answer {words}", _FIREWALL)
    if log.step == BANNER:
        remedy = "sshd there may be frozen or overloaded, or no sshd listens on that port"
        return _error(login, "banner", f"connected, but no SSH banner came {words}", remedy)
    if log.step == EXCHANGE:
        cause = f"after its banner the server did not finish the key exchange {words}"
        remedy = "sshd there may be frozen or overloaded, or a firewall drops long packets"
        return _error(login, "hostkey", cause, remedy)
    remedy = "the machine may be frozen or overloaded, or its directory service down"
    return _error(login, "auth", f"no answer to the login {words}", remedy)


def _hung_up(log: WayLog, login: Login) -> UnreachableError:
    said = next((line for line in log.lines if refusal_of(line) and refusal_of(line) != refusal_of("")), "")
    # "kex_exchange_identification: banner line contains invalid characters", and its like
    if not said and (odd := log.says(r"banner line|[Bb]ad packet|identification string|invalid")):
        cause = f"what answers on port {login.port} is no SSH server: {odd}"
        return _error(login, "banner", cause, "check the port")
    refusal = refusal_of(said) or REFUSALS[-1]
    return TurnedAwayError(
        f"banner: {refusal.cause}" + (f": '{said}'" if said else ""),
        host=login.place,
        stage="gateway",
        remedy=refusal.remedy,
        pauses_s=refusal.pauses_s,
    )


def _refused(log: WayLog, login: Login, offered: str, *, answered: bool) -> UnreachableError:
    methods = [method for method in log.methods.split(",") if method]
    others = [method for method in methods if method not in ("publickey", "hostbased")]
    takes = one_line(", ".join(methods))
    if log.partial:
        cause, remedy = f"the key is right, and the server wants more: {takes}", _ASKED_REMEDY
    elif others and not answered and "publickey" not in methods:
        cause, remedy = f"the server takes no keys, only {takes}", _ASKED_REMEDY
    elif not log.offered:
        cause = f"no key to log in as {login.user} with; the server takes {takes}"
        remedy = "name an identity_file, or use ssh-agent" + (f"; or {_ASKED_REMEDY}" if others else "")
    else:
        cause, remedy = f"key refused for {login.user} (offered {offered})", _REFUSED_REMEDY
        if others:
            cause += f"; the server takes {takes}"
            remedy += f"; for {' or '.join(others)}, {_ASKED_REMEDY}"
    return _error(login, "auth", cause, remedy)


def last(log: WayLog, otherwise: str = "") -> str:
    """Give the last line that is no debug message."""
    return one_line(log.lines[-1]) if log.lines else otherwise


def _error(login: Login, stage: str, cause: str, remedy: str) -> UnreachableError:
    return UnreachableError(f"{stage}: {cause}", host=login.place, stage="gateway", remedy=remedy)
