"""What is read from an ssh_config is what OpenSSH itself reads: compared with ``ssh -G``."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from beside_ssh import same, ssh_says, we_say
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from repetition import share

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
    st.sampled_from(["", "# c", "Compression yes", "HostKeyAlias Al", "   ", "CertificateFile /c"]),
)


@given(st.lists(_lines, max_size=14), st.sampled_from(["node1", "node2", "NODE1", "real"]))
@settings(max_examples=share(102), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_any_file_that_ssh_accepts_as_ssh_does(tmp_path: Path, lines: list[str], host: str) -> None:
    config = tmp_path / "config"
    config.write_text("\n".join(lines) + "\n")
    theirs = ssh_says(config, host)
    assume(theirs is not None)
    assert theirs is not None
    same(we_say(config, host)[0], theirs)
