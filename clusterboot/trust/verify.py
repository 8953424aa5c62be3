"""The proof: the logins that a launch will make, tried before it, each failure explained."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from clusterboot.mpi.script_names import cluster_folder
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.printable import one_line
from clusterboot.ssh.refusals import REFUSALS

# How many logins one node tries at once. OpenSSH's MaxStartups (10:30:100) is per target: where all
# nodes try all, each target has on average as many at its door as each source tries.
_PARALLEL = 16
#: The same, where all nodes try at once.
PARALLEL_OF_ALL = 5
_CONNECT_TIMEOUT_S = 8
_RESULT = re.compile(r"login (\S+) (\d+) ?(.*)")
_TIME = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"
_VALIDITY = re.compile(rf"certificate {_TIME} {_TIME} {_TIME}: (.*)")

# -v, since only then ssh tells what a server sent in place of its banner. A server that has sent its banner
# has a session process, whose end may be counted as an offence (PerSourcePenalties): no second try then.
_TRY = """cb_try() {{
  cb_said=$(ssh -v ${{cb_config:+-F "$cb_config"}} -n -o BatchMode=yes \
    -o StrictHostKeyChecking=yes -o ConnectTimeout={timeout} -o ConnectionAttempts=1 \
    -o ServerAliveInterval=5 -o ServerAliveCountMax=2 "$1" true 2>&1 </dev/null)
  cb_rc=$?
  # The rule, and without another process.
  [ "$cb_rc" != 0 ] || {{ printf 'login %s 0 \\n' "$1"; return; }}
  cb_pause=
  case "$cb_again$cb_rc$cb_said" in
    255*"Remote protocol version"*) ;;
    {pauses}
    255*"Connection closed"*|255*"Connection reset"*) cb_pause=1;;
  esac
  if [ -n "$cb_pause" ]; then
    cb_again=1
    sleep "$cb_pause"
    cb_try "$1"
    return
  fi
  cb_said=$(printf '%s\\n' "$cb_said" | sed 's/^debug1: \\(.*exchange_identification\\)/\\1/
    /^debug[123]: /d; /^OpenSSH_/d; /^Authenticated to /d; /^Transferred: /d; /^Bytes per second: /d')
  case $cb_said in *"Permission denied"*) cb_said="$(cb_certificate "$1")$cb_said";; esac
  printf 'login %s %d %s\\n' "$1" "$cb_rc" "$(printf %s "$cb_said" | tr '\\n\\r' '  ' | tail -c 900)"
}}
"""
_PAUSES = "\n    ".join(
    f'255*"{each.words}"*) cb_pause={math.ceil(each.pauses_s[-1])};;' for each in REFUSALS if each.words
)

# What ssh does not tell: from when until when the certificate that it offered holds, by this node's clock.
_CERTIFICATE = """cb_certificate() {
  cb_key=$(ssh ${cb_config:+-F "$cb_config"} -G "$1" 2>/dev/null | sed -n 's/^identityfile //p' | head -n 1)
  case $cb_key in "~/"*) cb_key=$HOME/${cb_key#"~/"};; esac
  [ -s "$cb_key-cert.pub" ] || return 0
  cb_valid=$(ssh-keygen -L -f "$cb_key-cert.pub" | sed -n 's/.*Valid: from \\(.*\\) to \\(.*\\)/\\1 \\2/p')
  [ -z "$cb_valid" ] || echo "certificate $cb_valid $(date +%Y-%m-%dT%H:%M:%S): "
}
"""

# A copy of the node's configuration with another key in it, gone when the section ends.
_WITH_IDENTITY = """cb_config=$(mktemp "$HOME/"{own}/proof.XXXXXX) || exit 1
trap 'rm -f "$cb_config"' EXIT
sed "s,^  IdentityFile .*,  IdentityFile "{line}"," "$HOME/"{own}/config >"$cb_config"
"""

# What OpenSSH's client says, and what that means between two nodes. The first match counts.
_CAUSES = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No \S+ host key is known", "pin"),
    (r"Permission denied|Too many authentication failures", "auth"),
    (r"Connection refused", "refused"),
    (r"timed out|No route to host|Network is unreachable|not responding", "filtered"),
    (r"Could not resolve hostname|Name or service not known", "name"),
    (r"Bad configuration option|terminating, \d+ bad configuration", "config"),
    *((re.escape(each.words), each.name) for each in REFUSALS if each.words),
    (r"Connection closed|Connection reset|kex_exchange_identification", "closed"),
)
_EXPLAINED = {
    "pin": (
        "the host key seen there is not the pinned one",
        "find out who answers at its address; if it has new host keys, run bootstrap again",
    ),
    "auth": (
        "it refuses the node's key",
        "check AuthorizedKeysFile, the home's permissions and sshd's log there",
    ),
    "refused": ("nothing listens on its SSH port", "start sshd there, or correct the port"),
    "filtered": ("its SSH port does not answer", "check cable, routes and firewall between the two"),
    "name": ("its name does not resolve", "write its internal_ip in the cluster file"),
    "certificate": (
        "the certificate is out of its time",
        "run bootstrap, which renews it",
    ),
    "clock": (
        "by the clock of who was to take it, the certificate is not valid",
        "set the clocks of both, and this machine's, and have chrony or ntpd keep them; then run bootstrap",
    ),
    "config": ("ssh refuses the user's configuration", "mend ~/.ssh/config on the node that connects"),
    **{each.name: (each.cause, each.remedy) for each in REFUSALS if each.words},
    "closed": (
        "it closes the connection",
        "look at sshd's log there: RefuseConnection in sshd_config, a hosts.deny entry, or no memory",
    ),
    "other": ("the login failed", "try it by hand with ssh -v"),
}


@dataclass(frozen=True)
class Period:
    """From when until when a certificate holds, in words and in seconds from when it was read."""

    after: str
    before: str
    after_s: float
    before_s: float


@dataclass(frozen=True)
class LoginFailure:
    """A login between two nodes that did not work: why, in ssh's words, and what to do.

    ``certificate`` is the period of the one that was offered and refused, if one was.
    """

    source: str
    target: str
    cause: str
    text: str
    remedy: str
    certificate: Period | None = None

    @property
    def reason(self) -> str:
        """The failure in one line, as seen from the target."""
        return f"no login from {self.source}: {meaning(self)}"


def meaning(failure: LoginFailure) -> str:
    """Say what a failure means, and ssh's own words for it."""
    return f"{_EXPLAINED[failure.cause][0]} ({failure.text or 'ssh said nothing'})"


def timed(failure: LoginFailure, target_ahead_s: float = 0.0, right_ahead_s: float = 0.0) -> LoginFailure:
    """Read a refused certificate as the time's fault, which ssh's ``Permission denied`` does not tell.

    Parameters: how far the target's clock, and the right time, are ahead of the clock of the node that
    logged in. A certificate that is not valid yet was made or is read by a clock that is wrong;
    one that is over is renewed, unless it is so by the target's clock alone.
    """
    period = failure.certificate
    if period is None or period.after_s <= target_ahead_s < period.before_s:
        return failure
    if target_ahead_s < period.after_s:
        cause, word = "clock", f"certificate not valid before {period.after}"
    else:
        cause = "clock" if right_ahead_s < period.before_s else "certificate"
        word = f"certificate expired at {period.before}"
    return replace(failure, cause=cause, text=f"{word}: {failure.text}", remedy=_EXPLAINED[cause][1])


def logins(
    source: str,
    targets: Mapping[str, str],
    identity: tuple[str, str] | None = None,
    *,
    crowded: bool = False,
    config: str | None = None,
) -> Question[tuple[LoginFailure, ...]]:
    """Have a host try a login to each target, several at once, strictly checked.

    The answer is which failed, and why.
    Parameters: the host; the targets' addresses by their names; ``identity`` names the cluster and a key
    file in its folder, with which alone the logins are made, whatever the node's configuration says;
    ``crowded`` says that all nodes try at the same time; ``config`` is a configuration, below the
    home, in place of the user's.
    """
    lines = [_CERTIFICATE, _TRY.format(timeout=_CONNECT_TIMEOUT_S, pauses=_PAUSES)]
    if config is not None:
        lines.append(f'cb_config="$HOME/"{shlex.quote(config)}')
    if identity is not None:
        own = cluster_folder(identity[0])
        lines.append(_WITH_IDENTITY.format(own=shlex.quote(own), line=shlex.quote(f"~/{own}/{identity[1]}")))
    addresses = tuple(targets.values())
    width = PARALLEL_OF_ALL if crowded else _PARALLEL
    for start in range(0, len(addresses), width):
        lines += [f"cb_try {shlex.quote(address)} &" for address in addresses[start : start + width]]
        lines.append("wait")
    section = Section("keys.verify", "\n".join([*lines, "exit 0"]))
    parse = partial(_parse, source=source, addresses=targets)
    return Question.of_one(section, parse, "verify", _timeout_s(len(targets)))


def _timeout_s(count: int) -> float:
    """Give the time that ``count`` logins may take at worst, in seconds."""
    return (_CONNECT_TIMEOUT_S + 4.0) * (1 + count / PARALLEL_OF_ALL) + 10.0


def _parse(said: SectionOutput, source: str, addresses: Mapping[str, str]) -> tuple[LoginFailure, ...]:
    """Read which logins failed, and why."""
    results = {m[1]: m for line in said.text.splitlines() if (m := _RESULT.fullmatch(line))}
    failures = []
    for target, address in addresses.items():
        match = results.get(address)
        if match and match[2] == "0":
            continue
        words = match[3] if match else "no result"
        validity = _VALIDITY.fullmatch(words)
        words = validity[4] if validity else words
        cause = next((name for pattern, name in _CAUSES if re.search(pattern, words)), "other")
        text = _keys_seen(words) if cause == "pin" else one_line(words, 400)
        period = _period(validity[1], validity[2], validity[3]) if validity else None
        failures.append(LoginFailure(source, target, cause, text, _EXPLAINED[cause][1], period))
    return tuple(failures)


def _period(after: str, before: str, now: str) -> Period:
    start, end, at = (datetime.fromisoformat(text) for text in (after, before, now))
    return Period(after, before, (start - at).total_seconds(), (end - at).total_seconds())


def _keys_seen(said: str) -> str:
    """Pick out of ssh's warning which key it got and which line it has; not how to get rid of that line."""
    got = re.search(r"SHA256:[A-Za-z0-9+/]+", said)
    line = re.search(r"in (\S+known_hosts:\d+)", said)
    parts = [f"got {got[0]}" if got else "", f"pinned at {line[1]}" if line else ""]
    return one_line(", ".join(part for part in parts if part) or said, 400)
