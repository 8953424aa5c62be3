"""What is read from an ssh_config is what OpenSSH itself reads: compared with ``ssh -G``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from beside_ssh import same, ssh_says, we_say
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from patience import HANGS_S
from repetition import share

import clusterboot

pytestmark = pytest.mark.lab


CASES = {
    "the first value wins": """
        Host node*
            User first
            Port 2201
        Host *
            User second
            Port 2202
            HostName fallback
    """,
    "a negated pattern keeps a block out": """
        Host * !node1 !gate?
            User other
        Host node1
            User one
    """,
    "HostName has %h and %%": """
        Host node*
            HostName %h.Example.COM
    """,
    "keyword=value, quotes and comments": """
        # a comment
          user=alice   # not a name
        Host "node1" 'x y'
            Port = 2022
            IdentityFile="~/.ssh/my key"
            IdentityFile ~/.ssh/a\\ b
            CertificateFile '/c d-cert.pub'
    """,
    "identity files add up, doubles do not": """
        IdentityFile ~/.ssh/a
        Host node1
            IdentityFile ~/.ssh/b
            IdentityFile ~/.ssh/a
            IdentitiesOnly yes
        Host *
            IdentityFile ~/.ssh/c
            IdentitiesOnly no
    """,
    "Match by host sees HostName": """
        Host node1
            HostName real-node
        Match host real-*
            User real
        Match originalhost node1
            Port 2022
        Match host node1
            User never
    """,
    "Match takes several criteria, lists and negation": """
        Match host node1,node2,!node3 !originalhost node9
            Port 2023
        Match !host node1
            User never
        Match all
            User everyone
    """,
    "Match user sees the user configured so far": """
        User carol
        Match user carol,dave
            Port 2024
        Match user root
            IdentitiesOnly yes
    """,
    "Match final is a second pass over the resolved name": """
        Match final host real.example
            Port 2025
        Host node1
            HostName real.example
        Host real.example
            User second-pass
        Match canonical
            IdentitiesOnly yes
    """,
    "HostName comes too late in the second pass": """
        Match final host node1
            HostName late
            Port 2033
    """,
    "Match with an equals sign": """
        Match host=node1
            Port 2026
    """,
    "ProxyJump, the first of it and ProxyCommand": """
        Host node1
            ProxyJump alice@gate:2222,[fe80::1]:23,ssh://bob@inner
        Host *
            ProxyCommand nc %h %p
    """,
    "ProxyJump none opts out": """
        Host node1
            ProxyJump none
        Host *
            ProxyJump gate
    """,
    "ProxyCommand first": """
        ProxyCommand none
        ProxyJump gate
    """,
    "known_hosts files with tokens": """
        UserKnownHostsFile ~/.ssh/kh_%h_%n_%p_%r_%u_%i "/k h" ${KEYS}/%k %d/x %L %l %%
        User someone
        Port 99
        HostName real
    """,
    "HostKeyAlias is in small letters": """
        HostKeyAlias Cluster-Node1
        UserKnownHostsFile /kh/%k
    """,
    "an agent": """
        Host node1
            IdentityAgent ~/.agent/%r.sock
        Host *
            IdentityAgent none
    """,
    "tabs, carriage returns and odd capitals": "HOST\tnode1\r\n\tuSeR\tmallory\r\n\tPORT=2027\r\n",
    "a canonical name brings a second pass, also where no domain is named": """
        CanonicalizeHostname yes
        Match canonical host node*
            Port 2040
        Match final originalhost NODE2
            HostKeyAlias second
        Host real.example node2
            User canon
            ProxyJump gate
    """,
    "names with many dots, addresses and proxied names are not completed": """
        CanonicalDomains nowhere.invalid
        CanonicalizeMaxDots 0
        Host gate1
            ProxyCommand nc %h %p
        Host *
            CanonicalizeHostname yes
            CanonicalizeFallbackLocal yes
        Host *.example 10.*
            User dotted
    """,
    "the first line of domains counts": """
        CanonicalizeHostname always
        CanonicalDomains none
        CanonicalDomains one.invalid two.invalid
        ProxyJump gate
        Match final host node1
            User last
    """,
    "nothing": "",
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("host", ["node1", "NODE2", "gate1", "10.0.0.1", "real.example"])
def test_reads_what_ssh_reads(tmp_path: Path, text: str, host: str) -> None:
    config = tmp_path / "config"
    config.write_bytes(dedent(text).encode())
    theirs = ssh_says(config, host)
    assert theirs is not None
    same(we_say(config, host)[0], theirs)


def test_a_user_given_is_seen_by_match_as_ssh_sees_it(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Match user eve\n  Port 2028\nMatch user root\n  Port 2029\nUser ignored\n")
    theirs = ssh_says(config, "node1", "-l", "eve")
    assert theirs is not None
    same(we_say(config, "node1", "eve")[0], theirs)


def test_includes_are_read_as_ssh_reads_them(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "b.conf").write_text("User from-b\nHost other\n  Port 1\n")
    (parts / "a.conf").write_text("Host node1\n  Port 2030\nMatch final all\n  HostKeyAlias pinned\n")
    (parts / ".hidden.conf").write_text("Port 3\n")
    (tmp_path / "inner").write_text("HostName inner-name\nHost *\n  IdentityFile /inner\n")
    config = tmp_path / "config"
    config.write_text(
        f"Host node1 node3\n  Include {tmp_path}/inner {tmp_path}/missing\n  IdentityFile /after\n"
        f"Host node2\n  Include {parts}/*.conf\nHost *\n  Include {parts}/*.conf\n  Port 2031\n"
    )
    for host in ("node1", "node2", "node3", "other"):
        theirs = ssh_says(config, host)
        assert theirs is not None
        same(we_say(config, host)[0], theirs)


def test_a_file_that_includes_itself_is_refused_by_both(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Include {config}\n")
    assert ssh_says(config, "node1") is None
    with pytest.raises(ValueError, match="include each other"):
        we_say(config, "node1")


def test_a_relative_include_is_under_the_home_s_ssh_folder(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Include no-such-folder-of-clusterboot/*\nPort 2032\n")
    theirs = ssh_says(config, "node1")
    assert theirs is not None
    same(we_say(config, "node1")[0], theirs)


_words = st.sampled_from(
    [
        "node1",
        "node2",
        "NODE1",
        "n*",
        "node?",
        "*",
        "!node1",
        "!*2",
        "real",
        "node1,node2",
        "r*,!real",
        '"node1"',
        "%h.x",
    ]
)
_lines = st.one_of(
    st.builds("Host {} {}".format, _words, _words),
    st.builds("Host {}".format, _words),
    st.builds("Match host {}".format, _words),
    st.builds("Match !host {} originalhost {}".format, _words, _words),
    st.builds("match final host={}".format, _words),
    st.builds("Match user {} !localuser {}".format, st.sampled_from(["ann", "root", "a*"]), _words),
    st.sampled_from(["Match all", "Match canonical", "Match !final all", "Match final", "match ALL # x"]),
    st.builds(
        "HostName{}{}".format,
        st.sampled_from([" ", "=", " = ", "\t"]),
        st.sampled_from(["real", "%h.lan", "R-%h"]),
    ),
    st.builds(
        "{} {}".format,
        st.sampled_from(["User", "user", "\tUSER", '"User"']),
        st.sampled_from(["ann", "bob", '"ann"']),
    ),
    st.builds("  Port {}".format, st.sampled_from(["22", "2222", "65535", '"99"', "0", "x"])),
    st.builds("IdentityFile {}".format, st.text(alphabet="ab/\\'\" #=", min_size=1, max_size=8)),
    st.builds("IdentitiesOnly {}".format, st.sampled_from(["yes", "NO", "true", "maybe"])),
    st.builds(
        "ProxyJump {}".format, st.sampled_from(["g", "none", "u@g:1,h", "a@b@c", "NONE", "g # x", "= g"])
    ),
    st.builds("ProxyCommand {}".format, st.sampled_from(["nc %h", "none"])),
    st.builds("UserKnownHostsFile {}".format, st.text(alphabet="ab\\'\" #", min_size=1, max_size=8)),
    st.builds("CanonicalizeHostname {}".format, st.sampled_from(["yes", "no", "ALWAYS", "true", "some"])),
    st.builds(
        "CanonicalDomains {}".format,
        st.sampled_from(["none", "a.invalid", "A_b.invalid c.invalid", "-x", ".x"]),
    ),
    st.builds("CanonicalizeMaxDots {}".format, st.sampled_from(["0", "1", "3"])),
    st.builds(
        "CanonicalizePermittedCNAMEs {}".format, st.sampled_from(["none", "*", "a:b", "*.X:*.y,z c:d"])
    ),
    st.sampled_from(["", "# c", "Compression yes", "HostKeyAlias Al", "   ", "CertificateFile /c"]),
)


@given(st.lists(_lines, max_size=14), st.sampled_from(["node1", "node2", "NODE1", "real"]))
@settings(
    max_examples=share(102),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_reads_any_file_that_ssh_accepts_as_ssh_does(tmp_path: Path, lines: list[str], host: str) -> None:
    config = tmp_path / "config"
    config.write_text("\n".join(lines) + "\n")
    theirs = ssh_says(config, host)
    assume(theirs is not None)
    assert theirs is not None
    same(we_say(config, host)[0], theirs)


NAMED = {
    "a site's configuration": """
        CanonicalizeHostname yes
        CanonicalDomains nowhere.test one.test two.test
        Host *.two.test !login*
            User fred
            ProxyJump login.two.test
        Match canonical host node1.*
            Port 2041
    """,
    "aliases are followed where they may be": """
        CanonicalizeHostname yes
        CanonicalDomains one.test two.test
        CanonicalizePermittedCNAMEs *.one.test:*.three.test,*.two.test
        Match final host far.two.test
            User far
    """,
    "aliases are not followed to anywhere": """
        CanonicalizeHostname yes
        CanonicalDomains one.test
        CanonicalizePermittedCNAMEs *.one.test:*.three.test
    """,
    "a proxied name is completed only where always": """
        Host node1
            CanonicalizeHostname always
        Host *
            CanonicalizeHostname yes
            CanonicalDomains one.test two.test
            ProxyJump gate
    """,
    "HostName is completed": """
        CanonicalizeHostname yes
        CanonicalDomains one.test
        Host gate1
            HostName NODE1
    """,
    "a name that is in no domain may be refused": """
        CanonicalizeHostname yes
        CanonicalizeFallbackLocal no
        CanonicalDomains one.test
    """,
    "a dot at its end says that a name is whole": """
        CanonicalizeHostname yes
        CanonicalizeMaxDots 9
        CanonicalDomains two.test
        Host node1.one.test
            User whole
    """,
}


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED.keys())
def test_completes_names_as_ssh_completes_them(tmp_path: Path, text: str) -> None:
    config, servers, hosts = tmp_path / "config", tmp_path / "resolv.conf", tmp_path / "hosts"
    config.write_text(dedent(text))
    servers.write_text("nameserver 127.0.0.1\n")
    hosts.write_text("127.0.0.1 localhost\n")
    script = (
        'ip link set lo up && mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts'
        ' && shift 2 && exec "$@"'
    )
    ask = [sys.executable, str(Path(__file__).with_name("names_served.py")), str(config)]
    names = ["node1", "NODE2", "node3", "node1.one.test.", "node2.two.test", "gate1", "10.0.0.1"]
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script, "sh", str(servers), str(hosts), *ask, *names],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(clusterboot.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANGS_S,
    )
    said = json.loads(done.stdout)
    assert list(said) == names
    for theirs, ours in said.values():
        if theirs is None and "CanonicalizeFallbackLocal" not in text:
            continue  # ssh ends already here; for us it is a name that is dialled, and not found
        if theirs is None:
            assert "found in none of the CanonicalDomains" in ours
        else:
            same(ours[0], theirs)
