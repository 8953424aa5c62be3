"""What OpenSSH's client says when a login fails or is lost.

Source: OpenSSH's ``sshconnect.c``, ``sshconnect2.c``, ``kex.c``, ``packet.c``, ``ssh.c`` and
``clientloop.c``.
"""

from ..pattern import texts
from .programs import LOST

_LOGIN = "run bootstrap: it proves every login that the launch needs and names the failing pair"
_KEY = "compare the host's key with its console's, then pin it with bootstrap"
_ROUTE = "see whether that host is up, and whether sshd listens there: bootstrap shows each host's way"
_NAME = "use the addresses of bootstrap's hostfile, or give every node that name in DNS or /etc/hosts"

LOGIN = (
    *texts(
        "ssh",
        _LOGIN,
        r"(?:^|[\s@]){host}: Permission denied \(",
        r"Permission denied \((?:publickey|password|gssapi|keyboard|host)",
        r"(?:from {host} port…)?Too many authentication failures",
        "UNPROTECTED PRIVATE KEY FILE",
        r"Bad owner or permissions on \S*ssh\S*",
        r"Received disconnect from {host} port \d+",
        r"Unable to negotiate with {host} port \d+",
        "Connection timed out during banner exchange",
    ),
    *texts("ssh", _LOGIN, "(?:kex|ssh)_exchange_identification: ", strength="weak"),
    *texts(
        "ssh",
        _KEY,
        r"Host key for {host}(?::\d+)? has changed and you have requested",
        r"host key is known for {host}(?::\d+)? and you have requested strict",
    ),
    # These name no host: the line between them does.
    *texts(
        "ssh",
        _KEY,
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "Host key verification failed",
        strength="weak",
    ),
    *texts("ssh", _ROUTE, r"ssh: connect to (?:host|address) {host} port \d+: "),
    *texts("ssh", _NAME, "ssh: Could not resolve hostname {host}: "),
    *texts(
        "ssh",
        LOST,
        "Connection (?:closed|reset) by (?:remote host )?{host} port",
        r"Connection to {host}(?: port \d+)? (?:closed by remote host|timed out)",
        r"banner exchange: Connection (?:to|from) {host} port \d+: ",
        "Timeout, server {host} not responding",
        "client_loop: send disconnect: ",
        in_midrun="killed",
    ),
)
