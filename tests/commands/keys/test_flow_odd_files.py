"""Other people's files through a cluster's whole life: their bytes stay, and what they said still holds."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterboot import lab as labs
from clusterboot.lab.machine_files import new_host_keys
from odd_files import AUTHORIZED, CONFIG, KEY_OPTIONS, KNOWN_HOSTS, REFUSED, odd, seeded
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

NAMES = ("authorized_keys", "config", "known_hosts")
COLLEAGUES = 3
# Where the colleagues' keys lie on each node: nowhere that clusterboot looks.
KEYS = "/dev/shm/colleagues"

# Who gets in and what they are told, what ssh makes of another host's name, what is known of a host.
# Each login comes from an address of its own, so that no refusal counts against the next one.
_PROBE = f"""\
for k in {KEYS}/[0-9]; do
  ssh -n -F /dev/null -b 127.0.$1.$((${{k##*/}} + 1)) -i "$k" -o IdentitiesOnly=yes -o BatchMode=yes \\
    -o KexAlgorithms=curve25519-sha256 -o HostKeyAlias=me -o StrictHostKeyChecking=yes \\
    -o UserKnownHostsFile={KEYS}/known_hosts -o LogLevel=ERROR 127.0.0.1 'echo in, $USER $A' 2>&1
  echo "login ${{k##*/}} $?"
done
timeout 20 ssh -G foreign.example.org </dev/null 2>/dev/null | cksum
ssh -G foreign.example.org </dev/null >/dev/null 2>&1
echo "config $?"
for h in foreign.example.org n1 '[n2]:2222' hashed.example.org; do
  ssh-keygen -F "$h" 2>&1 | sed 's,/.*:,,'
  echo "known $h"
done
"""
_BRING_KEYS = f"""\
install -d -m 755 {KEYS} && cd {KEYS} || exit 1
cat >all
csplit -sz -f k all '/BEGIN OPENSSH/' '{{*}}'
for k in k*; do n=$((10#${{k#k}})); mv "$k" "$n"; chown ubuntu "$n"; chmod 600 "$n"; done
rm all
sed 's/^/me /' /etc/ssh/ssh_host_ed25519_key.pub >known_hosts
"""


@dataclass(frozen=True)
class OddFile:
    """A file as its owner left it: the bytes, the mode, a note in an extended attribute."""

    content: bytes
    mode: int
    note: bytes | None


def equip(lab: labs.Lab, rng: random.Random) -> dict[tuple[str, str], OddFile]:
    """Give every node's user three odd files; the operator's line is somewhere in the one that counts."""
    pairs = [new_host_keys()["ed25519"] for _ in range(COLLEAGUES)]
    private = "".join(pair.private for pair in pairs)
    files: dict[tuple[str, str], OddFile] = {}
    for node in lab.nodes:
        labs.node_exec(lab.name, node.name, ["bash", "-c", _BRING_KEYS], text=private).check_returncode()
        own = (lab.home(node.name) / ".ssh/authorized_keys").read_bytes().rstrip(b"\n")
        theirs = [f"{rng.choice(KEY_OPTIONS)}{pair.public} colleague".encode() for pair in pairs]
        contents = {
            "authorized_keys": odd(rng, AUTHORIZED, (own, *theirs)),
            # Every eighth node's is one that ssh refuses.
            "config": odd(rng, CONFIG, (REFUSED,) if int(node.name.removeprefix("n")) % 8 == 3 else ()),
            "known_hosts": odd(rng, KNOWN_HOSTS),
        }
        for name, content in contents.items():
            note = b"mine" if rng.random() < 0.3 else None
            file = OddFile(content, rng.choice((0o600, 0o644, 0o400, 0o640)), note)
            put(lab.home(node.name) / ".ssh" / name, file)
            files[node.name, name] = file
    return files


def put(path: Path, file: OddFile) -> None:
    owner = path.parent.stat()
    path.unlink(missing_ok=True)
    path.write_bytes(file.content)
    os.chown(path, owner.st_uid, owner.st_gid)
    path.chmod(file.mode)
    if file.note is not None:
        os.setxattr(path, "user.note", file.note)


def probe(lab: labs.Lab) -> dict[str, str]:
    def ask(node: labs.LabNode) -> str:
        number = node.name.removeprefix("n")
        return labs.node_exec(lab.name, node.name, ["sh", "-c", _PROBE, "sh", number], "ubuntu").stdout

    with ThreadPoolExecutor(4) as pool:
        return dict(zip((node.name for node in lab.nodes), pool.map(ask, lab.nodes), strict=True))


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def assert_theirs_is_intact(
    lab: labs.Lab, files: dict[tuple[str, str], OddFile], untouched: set[str], when: str
) -> None:
    """Hold every file against what its owner left; clusterboot's lines may stand above, and only there."""
    for (node, name), file in files.items():
        path = lab.home(node) / ".ssh" / name
        now, state = path.read_bytes(), path.stat()
        above = now[: len(now) - len(file.content)]
        assert sha(now[len(above) :]) == sha(file.content), (when, node, name)
        tagged = [line for line in above.splitlines() if b"clusterboot" not in line]
        assert tagged == [], (when, node, name)
        is_ours = name != "known_hosts" and when != "teardown" and node not in untouched
        assert bool(above) == is_ours, (when, node, name)
        assert (state.st_mode & 0o7777, state.st_uid) == (file.mode, path.parent.stat().st_uid), (when, node)
        if file.note is not None:
            assert os.getxattr(path, "user.note") == file.note, (when, node, name)


def live_through(lab: labs.Lab, operator: Operator, rng: random.Random, modes: tuple[str, ...]) -> int:
    """Take a cluster through all that may happen to it; gives how many files went along."""
    files = equip(lab, rng)
    cluster = ("--cluster", str(lab.cluster_file))
    before = probe(lab)
    refused = {node for node, said in before.items() if "config 0\n" not in said}
    said = operator.document("bootstrap", *cluster, expect=3 if refused else 0)
    assert "n3" in refused
    rows = {host["name"]: host for host in said["hosts"]}
    assert {name for name, row in rows.items() if row["status"] != "ok"} == refused
    assert all("ssh refuses the user's configuration" in rows[name]["cause"] for name in refused)
    assert_theirs_is_intact(lab, files, refused, "bootstrap")
    assert probe(lab) == before
    # Who was named mends the line by hand.
    for node in refused:
        file = files[node, "config"]
        files[node, "config"] = OddFile(file.content.replace(REFUSED, b"# gone"), file.mode, file.note)
        put(lab.home(node) / ".ssh/config", files[node, "config"])
    before = probe(lab)
    assert all("config 0\n" in said for said in before.values())
    for step in (("bootstrap",), *(("bootstrap", "--keys", mode) for mode in modes), ("rotate-keys",)):
        operator.document(*step, *cluster)
        assert_theirs_is_intact(lab, files, set(), " ".join(step))
    assert probe(lab) == before
    assert operator.document("teardown", *cluster)["still_to_do"] == []
    assert_theirs_is_intact(lab, files, set(), "teardown")
    assert probe(lab) == before
    logins = [line for said in before.values() for line in said.splitlines() if line.startswith("login")]
    assert {line.split()[2] for line in logins} == {"0", "255"}
    return len(files)


def test_files_of_other_people_go_through_a_clusters_whole_life(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    assert live_through(make_lab(nodes=4), operator, seeded(3), ("ca",)) == 12


@pytest.mark.slow
def test_two_hundred_files_of_other_people_do(make_lab: Callable[..., labs.Lab], operator: Operator) -> None:
    assert live_through(make_lab(nodes=72), operator, seeded(4), ("ca", "shared")) == 216
