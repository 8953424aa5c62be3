"""What a bad cluster file is told: file, line, cause and remedy, everything at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot.errors import ExitCode, UsageError
from clusterboot.inventory.loader import load
from clusterboot.inventory.problems import ConfigError

Refused = Callable[[str], list[str]]

FIXTURES = Path(__file__).parent / "fixtures"


def test_every_problem_of_a_file_comes_at_once(problems_of: Refused) -> None:
    found = problems_of((FIXTURES / "many_problems.yaml").read_text())
    expected = (FIXTURES / "many_problems.txt").read_text().replace("HOME/", "home/")
    assert found == expected.splitlines()


@pytest.mark.parametrize("path", ["relative", "~/mpi", r'"/a\nrm -rf /"', r'"/a\e[2J"'])
@pytest.mark.parametrize("key", ["mpi: {prefix", "nccl: {tests_dir", "nccl: {lib_dirs"])
def test_a_path_on_the_nodes_is_absolute_and_printable(problems_of: Refused, key: str, path: str) -> None:
    (problem,) = problems_of(
        f"type: fleet\nname: test\nssh_config: {{hosts: [a]}}\nclusterboot:\n  {key}: {path}}}\n"
    )
    assert "cluster.yaml:5:" in problem
    assert "is not an absolute path; write the path on the nodes" in problem


def test_a_problem_has_its_parts(write: Callable[[str], Path], environ: dict[str, str]) -> None:
    path = write("type: fleet\nname: test\nssh_config: {hosts: [a, a]}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, environ=environ)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (path, 3)
    assert (problem.cause, problem.remedy) == ("host 'a' is here twice, first in line 3", "keep one of them")
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code is ExitCode.USAGE


ONE_EACH = [
    ("name: test\nssh_config: {hosts: [a]}", "'type' is missing; write 'type: fleet'"),
    ("type: fleet\nname: test", "'ssh_config' is missing; write ssh_config with hosts"),
    ("type: fleet\nname: test\nnodes: 2", "'ssh_config' is missing; write ssh_config with hosts"),
    ("type: fleet\nname: test\nssh_config: {user: a}", "3: 'hosts' is missing; list the host names"),
    ("type: fleet\nname: test\nssh_config: {hosts: []}", "3: 'hosts' is an empty list; write at least one"),
    ("type: fleet\nname: test\nssh_config: {hosts: a}", "3: 'hosts' is 'a', not a list"),
    ("type: fleet\nname: test\nssh_config: [a]", "3: 'ssh_config' is a list, not a mapping"),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [{user: a}]}",
        "3: 'hostname' is missing; name the machine",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [{hostname: 'a[1-2]'}]}",
        "folded, but stands in an object",
    ),
    ("type: fleet\nname: test\nssh_config: {hosts: [[a]]}", "is neither the name of a host nor an object"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['n[1-99999]']}", "is more than 16384 hosts"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['n[1-9999]', 'm[1-9999]']}", "more than 16384 hosts"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['n[5-1]']}", "5-1"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['n[1-x]']}", "'1-x' in 'n[1-x]' is not a range"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['a!b']}", "'!' in the host name 'a!b'"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['a*']}", "'*' in the host name 'a*'"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['a;id']}", "';' in the host name 'a;id'"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['..']}", "'..' is not a host name"),
    ("type: fleet\nname: test\nssh_config: {hosts: ['fe80::1%eth0']}", "'%' in the host name"),
    (
        "type: fleet\nname: test\nssh_config:\n  hosts:\n  - n[1-3]\n  - N2",
        "6: host 'N2' is here twice, first in line 5",
    ),
    (
        "type: fleet\nname: test\nssh_config:\n  hosts:\n  - {hostname: a, internal_ip: 10.0.0.1}\n"
        "  - {hostname: b, internal_ip: 10.0.0.1}",
        "6: internal_ip 10.0.0.1 is here twice, first in line 5",
    ),
    (
        "type: fleet\nname: test\nssh_config:\n  hosts:\n  - {hostname: a, port: 2201}\n"
        "  - {hostname: A, port: 2202}\n  - {hostname: a, port: 2201}",
        "7: the machine a port 2201 is here twice, first in line 5; keep one of them",
    ),
    (
        "type: fleet\nname: test\nssh_config:\n  hosts:\n  - {hostname: a, port: 2201}\n"
        "  - {hostname: a, port: 2202}\n  - {hostname: a, port: 2202, name: b}",
        "7: the machine a port 2202 is here twice, first in line 6; keep one of them",
    ),
    (
        "type: fleet\nname: test\nssh_config:\n  hosts:\n  - {hostname: a, name: x}\n"
        "  - {hostname: b, name: X}",
        "6: host 'X' is here twice, first in line 5; give each a name of its own",
    ),
    (
        "type: fleet\nname: test\nssh_config:\n  hosts:\n  - {hostname: a, proxy_jump: h1}\n"
        "  - {hostname: a, proxy_jump: h2}",
        "6: host 'a' is here twice, first in line 5; give each a name of its own",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [{hostname: a, name: 'x y'}]}",
        "name: 'x y' is not a host name",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [{hostname: a, port: 1}, {hostname: a, port: 2}]}\n"
        "clusterboot: {launch_from: a}",
        "4: launch_from: 'a' is each of a-1, a-2",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [{hostname: a, port: 1}, {hostname: a, port: 2}]}\n"
        "clusterboot:\n  trust:\n    pins:\n      a: "
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
        "7: pins: 'a' is each of [a]:1, [a]:2",
    ),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], proxy_jump: []}", "an empty list of gateways"),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a], proxy_jump: [b, none]}",
        "none stands among gateways",
    ),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], proxy_jump: {user: b}}", "3: 'hostname' is missing"),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], proxy_jump: -oX}", "'-oX' is not a host name"),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], proxy_jump: '$(id)'}", "'$(id)' is not a host name"),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], proxy_jump: 'a:b'}", "'b' is not a port"),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], user: 7}", "'user' is 7, not text; put it in quotes"),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], port: true}", "'port' is 'true', not a whole number"),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], port: 22.5}", "'port' is 22.5, not a whole number"),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a], identity_file: .}",
        "is not a file; correct the path",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a], identity_file: ~nobody-at-all/k}",
        "no user 'nobody-at-all'",
    ),
    ("type: fleet\nname: test\nssh_config: {hosts: [a], network: 10.0.0.1/x}", "is not a network"),
    (
        "type: fleet\nname: test\nplacement: near\nssh_config: {hosts: [a]}",
        "3: 'placement' is 'near'; write 'any'",
    ),
    ("type: fleet\nname: test\nblocks: 0\nssh_config: {hosts: [a]}", "3: blocks: '0' is neither a number"),
    ("type: fleet\nname: a\nssh_config: {hosts: [a]}", "2: name: 'a' is not a fleet name"),
    ("type: fleet\nname: ../x\nssh_config: {hosts: [a]}", "2: name: '../x' is not a fleet name"),
    ("type: fleet\nname: 12\nssh_config: {hosts: [a]}", "2: 'name' is 12, not text"),
    ("type: fleet\nname: test\nenv: 5\nssh_config: {hosts: [a]}", "3: env is neither a mapping nor a list"),
    (
        "type: fleet\nname: test\nenv: {A: [1]}\nssh_config: {hosts: [a]}",
        "3: env: the value of 'A' is not text",
    ),
    ("type: fleet\nname: test\nenv: [[A]]\nssh_config: {hosts: [a]}", "3: env: an element is not text"),
    (
        'type: fleet\nname: test\nenv: {A: "b\\nc"}\nssh_config: {hosts: [a]}',
        "3: env: the value of 'A' has a NUL",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot: {launch_from: b}",
        "4: launch_from: 'b' is no host of this file; write head or a host's name",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot: {launch_from: head}",
        "4: launch_from: head, but there is no gateway",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot:\n  trust:\n    pins:\n      b: "
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
        "7: pins: 'b' is no host of this file",
    ),
    ("type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot: {fanout: 1025}", "4: 'fanout' is 1025"),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot: {verify: some}",
        "'launch', 'full' or 'none'",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot: {mpi: {module: 'a; b'}}",
        "is not a module name",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot: {nccl: {ib_hca: '$x'}}",
        "not a list of HCAs",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\n"
        "clusterboot: {expected_busbw_gb_s: {all_reduce: .inf}}",
        "'all_reduce' is inf, not a finite number",
    ),
    (
        "type: fleet\nname: test\nssh_config: {hosts: [a]}\n"
        "clusterboot: {expected_busbw_gb_s: {all_reduce: 1}, expected_busbw_gbps: {all_reduce: 2}}",
        "unknown key 'expected_busbw_gbps'",
    ),
]


@pytest.mark.parametrize(("text", "expected"), ONE_EACH, ids=[expected for _, expected in ONE_EACH])
def test_each_fault_alone_is_one_problem(problems_of: Refused, text: str, expected: str) -> None:
    (problem,) = problems_of(text)
    assert expected in problem


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        ("ssh-dss AAAA", "'ssh-dss' is not a type of host key"),
        ("ssh-ed25519", "is cut off or damaged"),
        ("ssh-ed25519 !!!!", "is not base64"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB", "is cut off or damaged"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYH", "is cut off or damaged"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAABAABAgM=", "is cut off or damaged"),
        (
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
            "is of type 'ssh-ed25519'",
        ),
        ("ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQAB", "is of type 'ssh-rsa'"),
    ],
)
def test_a_pin_that_is_no_public_key_is_refused(problems_of: Refused, key: str, cause: str) -> None:
    text = "type: fleet\nname: test\nssh_config: {hosts: [a]}\nclusterboot:\n  trust:\n    pins:\n"
    (problem,) = problems_of(f"{text}      a: {key}\n")
    assert problem.startswith("cluster.yaml:7: ")
    assert cause in problem


def test_a_file_s_name_that_gives_no_fleet_name_is_a_problem(
    write: Callable[..., Path], environ: dict[str, str]
) -> None:
    path = write("type: fleet\nssh_config: {hosts: [a]}", ".dstack.yml")
    with pytest.raises(ConfigError, match=r"'name' is missing, .*; add 'name: my-fleet'"):
        load(path, environ=environ)


def test_values_of_env_are_never_shown(problems_of: Refused) -> None:
    text = 'type: fleet\nname: test\nenv: {TOKEN: "hunter2\\nx", "9": hunter2}\nssh_config: {hosts: [a]}'
    assert "hunter2" not in "".join(problems_of(text))


def test_what_is_right_beside_what_is_wrong_is_checked_too(problems_of: Refused) -> None:
    hops = "[{hostname: -x}, {hostname: ok, identity_file: /no/such/key}, {hostname: -y}]"
    found = problems_of(f"type: fleet\nname: test\nssh_config: {{hosts: [a], proxy_jump: {hops}}}")
    assert [problem.partition(";")[0] for problem in found] == [
        "cluster.yaml:3: hostname: '-x' is not a host name",
        "cluster.yaml:3: hostname: '-y' is not a host name",
        "cluster.yaml:3: '/no/such/key' does not exist",
    ]


def test_a_file_s_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "\x1b[2J.yaml", environ={})
    assert str(caught.value).isprintable()


def test_a_file_s_words_cannot_steer_the_terminal(problems_of: Refused) -> None:
    (problem,) = problems_of('type: fleet\nname: test\nssh_config: {hosts: ["a\\e]0;x\\a\\u202E"]}')
    assert problem.isprintable()
