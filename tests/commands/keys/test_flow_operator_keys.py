"""What is wrong with the keys on the operator's side is told as that: an agent, a file, a certificate."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]


@pytest.fixture(scope="module")
def doors(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    """Three nodes: n1 takes its key, n2 hangs up after three others, n3 takes certificates alone."""
    lab = module_lab(nodes=3)
    authority = lab.folder / "n3/etc/ssh/user_ca"
    new_key(authority)
    labs.break_node(lab.name, "n2", "few-tries")
    labs.break_node(lab.name, "n3", "certificates-only")
    return lab


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def cluster(operator: Operator, lab: labs.Lab, key: Path | None = None) -> tuple[str, str]:
    """Write a cluster file that names this key for the nodes, or none."""
    path = operator.folder / "cluster.yaml"
    identity = f"  identity_file: {key}\n" if key else ""
    path.write_text(
        f"type: fleet\nname: doors\nssh_config:\n  user: ubuntu\n{identity}  hosts: ['n[1-3]']\n"
        f"  proxy_jump: {{hostname: {lab.head_address}, identity_file: {lab.folder}/head_key}}\n"
        f"clusterboot: {{trust: {{known_hosts: {lab.folder}/known_hosts}}}}\n"
    )
    return "--cluster", str(path)


def said(operator: Operator, *args: str, expect: int, **env: str) -> dict[str, Any]:
    return operator.document("run", *args, "hostname", expect=expect, **env)


@contextmanager
def agent(operator: Operator, *keys: Path) -> Iterator[str]:
    sock = str(operator.folder / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.PIPE) as process:
        try:
            # It says where it is once it listens there, which is later than the socket is to be seen.
            assert process.stdout
            assert process.stdout.readline()
            env = {**os.environ, "SSH_AUTH_SOCK": sock}
            for key in keys:
                subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True, stdin=subprocess.DEVNULL)
            yield sock
        finally:
            process.kill()


@contextmanager
def no_agent(path: Path, *, listening: bool) -> Iterator[str]:
    """Leave a socket behind that nobody serves: of an agent that is gone, or of one that hangs."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        if listening:
            sock.listen()
        yield str(path)


@pytest.mark.parametrize("listening", [False, True])
def test_a_stale_agent_is_no_hindrance_with_a_key_and_named_without_one(
    doors: labs.Lab, operator: Operator, listening: bool
) -> None:
    limit = ("--hosts", "n1", "--deadline", str(HANGS_S))
    with no_agent(operator.folder / "stale", listening=listening) as sock:
        keyed = cluster(operator, doors, doors.folder / "node_key")
        assert said(operator, *keyed, *limit, expect=0, SSH_AUTH_SOCK=sock)["hosts"][0]["status"] == "ok"
        done = said(operator, *cluster(operator, doors), *limit, expect=4, SSH_AUTH_SOCK=sock)

    (host,) = done["hosts"]
    assert (host["name"], host["status"], host["stage"]) == ("n1", "unreachable", "auth")
    why = "" if listening else ": Connection refused"
    assert host["cause"] == f"no key to log in as ubuntu with (no ssh-agent answers at {sock}{why})"
    assert "identity_file" in host["remedy"]


def test_an_agent_with_ten_keys_is_told_where_it_is_too_many_and_silent_where_a_key_is_named(
    doors: labs.Lab, operator: Operator
) -> None:
    keys = [new_key(operator.folder / f"key{number}") for number in range(10)]
    with agent(operator, *keys, doors.folder / "node_key") as sock:
        named = cluster(operator, doors, doors.folder / "node_key")
        kept = ("--hosts", "n[1-2]")
        hosts = said(operator, *named, *kept, expect=0, SSH_AUTH_SOCK=sock)["hosts"]
        assert [host["status"] for host in hosts] == ["ok", "ok"]
        # Where a key is named that opens nothing, the agent's are not tried in its place.
        wrong = cluster(operator, doors, keys[0])
        (host,) = said(operator, *wrong, "--hosts", "n1", expect=4, SSH_AUTH_SOCK=sock)["hosts"]
        assert re.match(r"key refused for ubuntu \(offered \S+/key0 SHA256:[^;]+\)$", host["cause"]), host[
            "cause"
        ]
        hosts = said(operator, *cluster(operator, doors), *kept, expect=4, SSH_AUTH_SOCK=sock)["hosts"]

    # n1 has OpenSSH's own limit of six, and its key would have been the eleventh.
    for host, tries in zip(hosts, (6, 3), strict=True):
        assert (host["status"], host["stage"]) == ("unreachable", "auth")
        assert host["cause"].startswith(
            f"too many keys offered: the server hung up after {tries} (agent key "
        )
        assert host["remedy"] == "name the one identity_file that opens this account"


DATE = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
CERTIFICATES = [
    ("expired", ("-V", "-2h:-1h"), rf"the certificate \S+mine-cert.pub expired at {DATE}\)$"),
    ("future", ("-V", "+1h:+2h"), rf"the certificate \S+mine-cert.pub is not valid before {DATE}\)$"),
    ("others", ("-n", "alice,bob"), r"the certificate \S+mine-cert.pub is for alice, bob, not for ubuntu\)$"),
    ("hosts", ("-h",), r"the certificate \S+mine-cert.pub is for hosts, not for users\)$"),
]


def certify(lab: labs.Lab, key: Path, *options: str) -> None:
    authority = lab.folder / "n3/etc/ssh/user_ca"
    names = () if "-n" in options else ("-n", "ubuntu")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", *names, *options, f"{key}.pub"]
    subprocess.run(argv, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("options", "words"), [row[1:] for row in CERTIFICATES], ids=[r[0] for r in CERTIFICATES]
)
def test_a_certificate_that_opens_nothing_is_named_with_what_is_wrong(
    doors: labs.Lab, operator: Operator, options: tuple[str, ...], words: str
) -> None:
    key = new_key(operator.folder / "mine")
    certify(doors, key, *options)

    done = said(operator, *cluster(operator, doors, key), "--hosts", "n3", expect=4)

    (host,) = done["hosts"]
    assert (host["name"], host["status"], host["stage"]) == ("n3", "unreachable", "auth")
    assert re.search(words, host["cause"]), host["cause"]
    assert host["remedy"] == "sign the certificate anew"


def test_a_certificate_in_the_agent_is_judged_as_one_in_a_file(doors: labs.Lab, operator: Operator) -> None:
    key = new_key(operator.folder / "mine")
    certify(doors, key)
    with agent(operator, key) as sock:
        done = said(operator, *cluster(operator, doors), "--hosts", "n3", expect=0, SSH_AUTH_SOCK=sock)
    assert done["answers"]["n3"]["stdout"] == "n3\n"

    Path(f"{key}-cert.pub").unlink()
    certify(doors, key, "-V", "-2h:-1h")
    (operator.folder / "agent").unlink(missing_ok=True)
    with agent(operator, key) as sock:
        done = said(operator, *cluster(operator, doors), "--hosts", "n3", expect=4, SSH_AUTH_SOCK=sock)
    assert re.search(rf"the certificate agent key \S+ expired at {DATE}", done["hosts"][0]["cause"])


def test_a_sound_certificate_that_is_refused_is_looked_for_on_the_other_side(
    doors: labs.Lab, operator: Operator
) -> None:
    key = new_key(operator.folder / "mine")
    certify(doors, key)

    done = said(operator, *cluster(operator, doors, key), "--hosts", "n[1,3]", expect=3)

    n1, n3 = done["hosts"]
    assert n3["status"] == "ok"
    assert (n1["status"], n1["stage"]) == ("unreachable", "auth")
    assert "TrustedUserCAKeys" in n1["remedy"]
    assert "clock" in n1["remedy"]
