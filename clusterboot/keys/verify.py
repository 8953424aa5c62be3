"""The proof: the logins that a launch will make, tried before it, each failure explained."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clusterboot.connect.script import Section, SectionOutput
from clusterboot.keys.records import OWN_DIR
from clusterboot.printable import one_line

# How many logins one node tries at once; OpenSSH's MaxStartups is per target, not per source.
_PARALLEL = 16
_CONNECT_TIMEOUT_S = 8
_RESULT = re.compile(r"login (\S+) (\d+) ?(.*)")

_TRY = """cb_try() {{
  cb_said=$(ssh ${{cb_config:+-F "$cb_config"}} -n -o BatchMode=yes \
    -o StrictHostKeyChecking=yes -o ConnectTimeout={timeout} \
    -o ServerAliveInterval=5 -o ServerAliveCountMax=2 "$1" true 2>&1 </dev/null)
  cb_rc=$?
  printf 'login %s %d %s\\n' "$1" "$cb_rc" "$(printf %s "$cb_said" | tr '\\n\\r' '  ' | tail -c 400)"
}}
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
    (r"Connection closed|Connection reset|kex_exchange_identification", "closed"),
)
_EXPLAINED = {
    "pin": ("its host key is not the pinned one", "find out why it changed, then run bootstrap again"),
    "auth": (
        "it refuses the node's key",
        "check AuthorizedKeysFile, the home's permissions and sshd's log there",
    ),
    "refused": ("nothing listens on its SSH port", "start sshd there, or correct the port"),
    "filtered": ("its SSH port does not answer", "check cable, routes and firewall between the two"),
    "name": ("its name does not resolve", "write its internal_ip in the cluster file"),
    "config": ("ssh refuses the user's configuration", "mend ~/.ssh/config on the node that connects"),
    "closed": ("it closes the connection", "check MaxStartups and sshd's log there"),
    "other": ("the login failed", "try it by hand with ssh -v"),
}


@dataclass(frozen=True)
class LoginFailure:
    """A login between two nodes that did not work: why, in ssh's words, and what to do."""

    source: str
    target: str
    cause: str
    text: str
    remedy: str

    @property
    def reason(self) -> str:
        """The failure in one line, as seen from the target."""
        return f"no login from {self.source}: {_EXPLAINED[self.cause][0]} ({self.text or 'ssh said nothing'})"


def section(addresses: Sequence[str], identity: tuple[str, str] | None = None) -> Section:
    """Write the script that tries a login to each address, several at once, strictly checked.

    Parameters: the addresses; ``identity`` names the cluster and a key file in its folder, with
    which alone the logins are made, whatever the node's configuration says.
    """
    lines = [_TRY.format(timeout=_CONNECT_TIMEOUT_S)]
    if identity is not None:
        own = OWN_DIR.format(name=identity[0])
        lines.append(_WITH_IDENTITY.format(own=shlex.quote(own), line=shlex.quote(f"~/{own}/{identity[1]}")))
    for start in range(0, len(addresses), _PARALLEL):
        lines += [f"cb_try {shlex.quote(address)} &" for address in addresses[start : start + _PARALLEL]]
        lines.append("wait")
    return Section("keys.verify", "\n".join([*lines, "exit 0"]))


def timeout_s(count: int) -> float:
    """Give the time that ``count`` logins may take at worst, in seconds."""
    return (_CONNECT_TIMEOUT_S + 4.0) * (1 + count / _PARALLEL) + 10.0


def parse(
    outputs: Mapping[str, SectionOutput], source: str, addresses: Mapping[str, str]
) -> tuple[LoginFailure, ...]:
    """Read which logins failed, and why.

    Parameters: the script's outputs; the host it ran on; the address of each target by
    its name.
    """
    results = {m[1]: m for line in outputs["keys.verify"].text.splitlines() if (m := _RESULT.fullmatch(line))}
    failures = []
    for target, address in addresses.items():
        match = results.get(address)
        if match and match[2] == "0":
            continue
        text = one_line(match[3]) if match else "no result"
        cause = next((name for pattern, name in _CAUSES if re.search(pattern, text)), "other")
        failures.append(LoginFailure(source, target, cause, text, _EXPLAINED[cause][1]))
    return tuple(failures)
