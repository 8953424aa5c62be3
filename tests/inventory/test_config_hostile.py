"""Whatever stands in a cluster file, a good cluster or one clear error comes out."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from repetition import share

from clusterboot.inventory.cluster import Cluster
from clusterboot.inventory.loader import load
from clusterboot.inventory.name_rules import check_hostname, parse_hop
from clusterboot.inventory.nodeset import MAX_HOSTS, expand
from clusterboot.inventory.problems import ConfigError, RuleError

SAFE = re.compile(r"[A-Za-z0-9._:][A-Za-z0-9._:-]*")


def outcome(raw: bytes, config: bytes = b"") -> Cluster | ConfigError:
    with tempfile.TemporaryDirectory() as folder:
        path, ssh_config = Path(folder, "cluster.yaml"), Path(folder, "config")
        path.write_bytes(raw)
        ssh_config.write_bytes(config)
        try:
            return load(path, ssh_config=ssh_config, environ={"HOME": folder})
        except ConfigError as error:
            found = error
    lines = str(found).split("\n")
    assert len(lines) == len(found.problems) > 0
    assert all(line.isprintable() for line in lines)
    return found


def only_safe_names(cluster: Cluster) -> None:
    for login in (*(host.login for host in cluster.hosts), *cluster.gateways):
        assert SAFE.fullmatch(login.hostname)
        assert re.fullmatch(r"[A-Za-z0-9._@\\][A-Za-z0-9._@\\-]*", login.user)
        assert 1 <= login.port <= 65535
    assert all(SAFE.fullmatch(host.name) for host in cluster.hosts)


_words = st.one_of(
    st.sampled_from(
        [
            "a",
            "n[1-3]",
            "n[01-03]x[1,2]",
            "-oX",
            "a b",
            "$(id)",
            "none",
            "u@h:22",
            "[::1]:22",
            "::1",
            "10.0.0.1",
            "",
        ]
    ),
    st.text(max_size=12),
)
_values = st.recursive(
    st.one_of(_words, st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_words, inner, max_size=3)),
    max_leaves=6,
)
_hop = st.one_of(
    _words,
    st.fixed_dictionaries({}, optional={"hostname": _words, "user": _words, "port": _values, "x": _values}),
)
_host = st.one_of(
    _words,
    _values,
    st.fixed_dictionaries(
        {"hostname": _words},
        optional={
            "user": _words,
            "port": _values,
            "proxy_jump": st.one_of(_hop, st.lists(_hop)),
            "blocks": _values,
        },
    ),
)
_fleet = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["fleet", "fleet", "fleet", "task"]),
        "ssh_config": st.fixed_dictionaries(
            {"hosts": st.lists(_host, max_size=4)},
            optional={"user": _words, "network": _words, "proxy_jump": _hop, "identity_file": _words},
        ),
    },
    optional={"name": _words, "env": _values, "blocks": _values, "clusterboot": _values, "nodes": _values},
)


@given(_fleet)
@settings(max_examples=share(120), deadline=None)
def test_any_fleet_is_a_safe_cluster_or_an_error(fleet: object) -> None:
    result = outcome(yaml.safe_dump(fleet, allow_unicode=True).encode("utf-8", "replace"))
    if isinstance(result, Cluster):
        only_safe_names(result)


@given(st.binary(max_size=200))
@settings(max_examples=share(80), deadline=None)
@example(b"\x00")
@example(b"\xff\xfe")
@example(b"? ")
@example(b"!!str")
@example(b"<<: *x")
def test_any_bytes_are_an_error(raw: bytes) -> None:
    assert isinstance(outcome(raw), ConfigError)


@given(
    st.lists(
        st.sampled_from(
            [*"[]{}:,-?!&*#|>%@'\"\n \t", "a: ", "\n  ", "- ", "<<: ", "&a ", "*a", "!!int ", "1"]
        )
    )
)
@settings(max_examples=share(120), deadline=None)
def test_any_piece_of_yaml_is_an_error(pieces: list[str]) -> None:
    assert isinstance(outcome("".join(pieces).encode()), ConfigError)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["HostName", "User", "ProxyJump", "IdentityFile", "Host", "Match", "Include", "Port"]
            ),
            st.text(max_size=12),
        ),
        max_size=6,
    )
)
@settings(max_examples=share(80), deadline=None)
def test_any_ssh_config_leaves_safe_names(lines: list[tuple[str, str]]) -> None:
    config = "\n".join(f"{key} {value}" for key, value in lines).encode("utf-8", "replace")
    result = outcome(b"type: fleet\nname: test\nssh_config: {hosts: [a]}\n", config)
    if isinstance(result, Cluster):
        only_safe_names(result)


@given(st.text(alphabet="ab01[],-/ .:;!@*%\n", max_size=24))
@settings(max_examples=share(200), deadline=None)
@example("n" + "9" * 5000 + "[1-2]")
@example("[1-9999][1-9999]")
@example("a[1-9999]b[1-9999]")
@example("n[1-4/0]")
def test_any_folded_text_gives_safe_names_or_an_error(text: str) -> None:
    with contextlib.suppress(RuleError):
        names = expand(text)
        assert 1 <= len(names) <= MAX_HOSTS
        assert all(SAFE.fullmatch(name) for name in names)


@given(
    st.sampled_from(["n", "gpu-", "rack1-", "10.0.0.", "2001:db8::"]),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=4),
    st.integers(3, 5),
    st.sampled_from(["", "-ilo", ".example.com", "x"]),
)
def test_what_is_folded_unfolds_in_its_order(
    prefix: str, spans: list[tuple[int, int]], width: int, suffix: str
) -> None:
    folded = ",".join(f"{first:0{width}}-{first + more:0{width}}" for first, more in spans)
    wanted = [n for first, more in spans for n in range(first, first + more + 1)]
    assert expand(f"{prefix}[{folded}]{suffix}") == tuple(f"{prefix}{n:0{width}}{suffix}" for n in wanted)


@given(st.text(max_size=30))
def test_any_gateway_text_is_safe_or_an_error(text: str) -> None:
    with contextlib.suppress(RuleError):
        hop = parse_hop(text)
        assert SAFE.fullmatch(hop["hostname"])
        assert not str(hop.get("user", "u")).startswith("-")


@pytest.mark.parametrize("name", ["a\n", "a\r", "\u0430", "a\u200b", "é", "a/b", "a" * 254, ":", "-", "."])
def test_names_that_only_look_like_names_are_refused(name: str) -> None:
    with pytest.raises(RuleError):
        check_hostname(name)


def test_reading_a_cluster_file_loads_nothing_that_connects(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("type: fleet\nname: test\nssh_config: {hosts: ['a[1-2]']}\n")
    code = (
        "import sys, pathlib\nfrom clusterboot.inventory.loader import load\n"
        "load(pathlib.Path(sys.argv[1]), environ={})\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'paramiko', 'fabric', 'invoke', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
