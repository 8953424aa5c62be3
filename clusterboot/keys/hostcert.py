"""Host certificates: how root on a node has its sshd show one, and what came of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from clusterboot.connect.script import Section, SectionOutput
from clusterboot.keys.install import functions
from clusterboot.printable import one_line

Task = Literal["look", "install", "remove"]

#: The longest that such a script takes, in seconds.
TIMEOUT_S = 90.0

_END = "clusterboot-end-of-script"
_STATES = ("kept", "installed", "possible", "removed", "none", "failed", "lost")
_ANSWER = re.compile(rf"(?m)^certificate ({'|'.join(_STATES)}) ?(.*)$")

# Who may become root without being asked anything, and what stands against it.
_AS_ROOT = """PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
cb_as='sudo -n'
if [ "$(id -u)" = 0 ]; then
  cb_as=
elif ! command -v sudo >/dev/null 2>&1; then
  echo 'certificate none the user is not root there, and there is no sudo'
  exit 0
elif ! cb_said=$(sudo -n /bin/sh -c : 2>&1); then
  case $cb_said in
    *password*) echo 'certificate none sudo wants a password there';;
    *) echo 'certificate none sudo is not allowed there';;
  esac
  exit 0
fi
"""


# Another user's cluster of the same name is none of this user's. What a killed one left is told of, too.
_SHOW = """f=/etc/ssh/clusterboot-NAME-cert.pub
[ ! -e "$f" ] || [ -f "$f" ] || { echo "odd $f"; exit 0; }
if [ -r "$f" ]; then
  l=$(head -c 65536 "$f")
  case "
$l
" in
    *"
# for $(id -un)
"*) printf '%s\\n' "$l";;
    *"
# for "*) ;;
    *) printf '%s\\n' "$l";;
  esac
fi
for f in /etc/ssh/.clusterboot.lock /etc/ssh/.clusterboot-NAME-cert.pub.clusterboot-new \\
  /etc/ssh/.trial.clusterboot-new /etc/ssh/.known.clusterboot-new \\
  /etc/ssh/sshd_config.d/.60-clusterboot-NAME.conf.clusterboot-new; do
  if [ -e "$f" ]; then echo left; fi
done
exit 0
"""


@dataclass(frozen=True)
class HostTrust:
    """How other nodes come to know a node's sshd.

    ``certified`` is true where it shows a certificate of the cluster's CA; otherwise ``reason``
    says why it is pinned instead. ``changed`` is true where something of it is different now, or
    would be, and ``fault`` is set where what went wrong could not be put right again.
    """

    certified: bool
    reason: str = ""
    changed: bool = False
    fault: bool = False


def survey_section(cluster: str) -> Section:
    """Give the piece of a script that shows the user's host certificate that is there; it needs no root."""
    return Section("keys.host_certificate", _SHOW.replace("NAME", shlex.quote(cluster)))


def parse_survey(outputs: Mapping[str, SectionOutput]) -> str | None:
    """Read what :func:`survey_section` said: the certificate's line with its newline, if there is one."""
    first = outputs["keys.host_certificate"].text.partition("\n")[0]
    return first + "\n" if "-cert-v01@" in first else None


def is_left(outputs: Mapping[str, SectionOutput]) -> bool:
    """Tell whether somebody who is at work, or was killed, has left a lock or a half-written file there."""
    return "left" in outputs["keys.host_certificate"].text.splitlines()


def section(cluster: str, task: Task, *, alias: str = "", authority: str = "", text: str = "") -> Section:
    """Write the script that has sshd show a host certificate, or show none any more.

    Parameters: ``look`` changes nothing and says what ``install`` would meet; ``alias`` is the
    name that the certificate has to vouch for; ``authority`` the CA's public key; ``text`` the new
    certificate, empty where the one that is there stays.
    Nothing is in sshd's way that it has not tried (``sshd -t``), and nothing stays that a
    client who knows the CA alone does not accept. Source: sshd(8) on SIGHUP; sshd_config(5),
    HostCertificate and Include.
    """
    words = {"cb_name": cluster, "cb_alias": alias, "cb_authority": authority, "cb_text": text.strip()}
    call = "cb_remove_all" if task == "remove" else f"cb_install {task}"
    body = "\n".join(
        (
            *(f"{name}={shlex.quote(value)}" for name, value in words.items()),
            "cb_base=/etc/ssh",
            *(functions(name) for name in ("install.sh", "hostcert.sh")),
            call,
        )
    )
    run = f'$cb_as /bin/sh -s -- "$SSH_CONNECTION" "$(id -un)" <<\'{_END}\'\n{body}\n{_END}\nexit 0'
    return Section("keys.certify", _AS_ROOT + run)


def parse(outputs: Mapping[str, SectionOutput]) -> HostTrust:
    """Read what came of :func:`section`. The last answer counts."""
    answers = _ANSWER.findall(outputs["keys.certify"].text)
    if not answers:
        said = one_line(outputs["keys.certify"].text)
        return HostTrust(certified=False, reason=said or "root's shell there said nothing")
    state, reason = answers[-1]
    reason = one_line(reason)
    if state in ("kept", "installed", "possible"):
        return HostTrust(certified=True, changed=state != "kept")
    return HostTrust(certified=False, reason=reason, changed=state == "removed", fault=state == "lost")
