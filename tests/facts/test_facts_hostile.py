"""Whatever a node says, its facts are a record or one plain error."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterboot.errors import PartialError
from clusterboot.facts.collect import question
from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import Options
from clusterboot.nodes.question import Clock, Reply
from clusterboot.nodes.script import SectionOutput

QUESTION = question(Options())
NAMES = [section.name for section in QUESTION.sections]
SYSTEM = (
    b"/proc/sys/kernel/hostname:n1\n/proc/sys/kernel/osrelease:6.1.0\n/proc/sys/kernel/arch:x86_64\n"
    b"user:ada\nmemory:2097152 kB\naffinity:0-3\n"
)
# Pieces that lead deep into the parsers, for hypothesis to put together wrongly.
PIECES = [
    *(b"@ip\n", b"@sysfs\n", b"@query\n", b"@query-exit\n0\n", b"@nvlink\n", b"@topology\n", b"@dev\n"),
    *(b"@rocm-smi\n", b"@amd-smi\n", b"@amdgpu\n", b"@route\n", b"@fib_trie\n", b"@if_inet6\n", b"@mpi /x\n"),
    b"2: eth0: <UP> mtu 1500 state UP\n    inet 10.1.0.4/99 scope global eth0\n    inet 999.1.1.1/8\n",
    b"    link/ether 00:00:00:00:00:00\n    inet6 ::ffff:1/64 scope link dadfailed\n",
    b"/sys/class/net/eth0/speed:-1\n/sys/class/net/eth0/has:device\n/sys/class/net/eth0/type:1\n",
    b"0, NVIDIA H100, GPU-1, 0000:1B:00.0, 81559, 535.1\n",
    b"GPU 0: x\n\t Link 0: 26.562 GB/s\n\t Link 1: 99999999999999 GB/s\n",
    b"\tGPU0\tGPU1\tNIC0\tCPU Affinity\nGPU0\t X \tNV18\tPIX\t0-1\nNIC0\tPIX\n  NIC0: mlx5_0\n",
    b'{"card0": {"Card Series": 7, "VRAM Total Memory (B)": "1e9"}, "system": []}\n',
    b'{"gpu_data": [{"gpu": 0, "vram": {"size": {"value": true, "unit": ["MB"]}}}, 3, {"gpu": null}]}\n',
    b"[[[[[[{\n",
    b"Local:\n |-- 300.1.1.1\n /32 host LOCAL\n |-- 10.1.0.4\n /32 host LOCAL\n",
    b"eth0 0000010A 00000000 0001 0 0 0 0000FF0F\neth0: 1\n",
    b"zz 01 80 10 80 lo\n00000000000000000000000000000001 ff ff ff ff lo\n",
    b"path:/home\nreal:/home\nstat:1:2\nmount:1 2 0:60 / / rw - nfs4 a:/b rw,addr=::1\nmount:- - - - - - -\n",
    b"has:mpicc\nmpirun (Open MPI) 4.1.4\nHYDRA build details:\n Version: 3\n",
    b"library:/l/libnccl.so.2\nfile:/l/libnccl.so.2.1\ndefine:x\ntest:/a/all_reduce_perf\nssh:OpenSSH_9\n",
    b'affinity:0-99999999999,5-,-,,\npackages: -1 x \nlimit:Max open files  many  x  files\nos:"unclosed\n',
    b"/sys/class/infiniband/m/ports/1/rate:1e9999\n/sys/class/infiniband/m/ports/1/state:\n",
    b"1700000000.%N\n",
    b"99999999999999999999.5\n",
]
bodies = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=12))).map(b"".join),
)


@settings(deadline=None)  # what a shared machine takes is no test
@given(st.dictionaries(st.sampled_from(NAMES), bodies), st.integers(0, 255))
def test_any_bytes_become_a_record_or_one_error(answers: dict[str, bytes], exit_code: int) -> None:
    outputs = {name: SectionOutput(body, exit_code) for name, body in answers.items()}
    facts, error = attempt(outputs)
    if facts is not None:
        check(facts)
    else:
        assert error is not None
        assert error.stage == "facts"
        assert error.remedy


def attempt(outputs: dict[str, SectionOutput]) -> tuple[NodeFacts | None, PartialError | None]:
    try:
        return QUESTION.parse(Reply(outputs, clock=Clock(10.0, 11.0))), None
    except PartialError as error:
        return None, error


@settings(deadline=None)  # what a shared machine takes is no test
@given(st.dictionaries(st.sampled_from([name for name in NAMES if name != "facts.system"]), bodies))
def test_broken_optional_sections_never_cost_the_essential_facts(answers: dict[str, bytes]) -> None:
    outputs = {name: SectionOutput(body, 1) for name, body in answers.items()}
    facts = QUESTION.parse(Reply({**outputs, "facts.system": SectionOutput(SYSTEM, 0)}))
    assert (facts.hostname, facts.cpus, facts.memory_mib) == ("n1", 4, 2048)
    check(facts)


def check(facts: NodeFacts) -> None:
    """The record is plain JSON, and nothing in it can move a cursor or start a line."""
    text = json.dumps(asdict(facts), allow_nan=False)
    assert all(char.isprintable() for value in strings(json.loads(text)) for char in value)


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


def test_an_answer_without_the_essential_facts_says_which_are_missing() -> None:
    outputs = {"facts.system": SectionOutput(SYSTEM.replace(b"memory", b"x").replace(b"affinity", b"y"), 0)}
    with pytest.raises(PartialError, match=r"^facts: the node did not say its CPUs, memory; ") as caught:
        QUESTION.parse(Reply(outputs))
    assert caught.value.stage == "facts"
