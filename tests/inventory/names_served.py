"""``ssh -G`` and our own reading side by side where names resolve: run in a network of its own.

The arguments are the ssh_config and the hosts to ask for; on standard output comes what each of
the two says, as JSON. A name server of this process's own knows :data:`ALIASES` and :data:`ADDRESSES`.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from pathlib import Path

from beside_ssh import ssh_says, we_say

ADDRESSES = {"node1.one.test": "127.0.0.1", "node2.two.test": "127.0.0.1", "far.two.test": "127.0.0.1"}
ALIASES = {"node3.one.test": "far.two.test"}
_A, _CNAME = 1, 5


def _packed(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _record(name: str, kind: int, data: bytes) -> bytes:
    return _packed(name) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def answer(query: bytes) -> bytes:
    """Answer a query of RFC 1035 with one question."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    question, name = query[12 : at + 5], ".".join(labels)
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    records = []
    if name in ALIASES:
        records.append(_record(name, _CNAME, _packed(ALIASES[name])))
        name = ALIASES[name]
    known = name in ADDRESSES
    if known and kind == _A:
        records.append(_record(name, _A, socket.inet_aton(ADDRESSES[name])))
    flags = 0x8580 | (0 if known else 3)
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)


def _serve(server: socket.socket) -> None:
    while True:
        query, client = server.recvfrom(512)
        server.sendto(answer(query), client)


def main() -> None:
    server = socket.socket(type=socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=_serve, args=(server,), daemon=True).start()
    config = Path(sys.argv[1])
    said = {}
    for host in sys.argv[2:]:
        try:
            ours: object = we_say(config, host)
        except ValueError as error:
            ours = str(error)
        said[host] = [ssh_says(config, host), ours]
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
