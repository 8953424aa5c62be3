"""Exit code 2 says that nothing was contacted: who may raise what ends with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterboot.errors import (
    ClusterbootError,
    ExitCode,
    HostResult,
    TrustError,
    UnreachableError,
    UnsettledError,
    ValidationError,
    worst,
)
from clusterboot.tasks.cli.command import Call

PACKAGE = Path(__file__).parents[2] / "clusterboot"
USAGE = {"UsageError", "ConfigError"}

# What runs before anything is contacted, or where nothing ever is. A key file and the operator's own folders
# are looked at before the first stage; a launch's words are made of what was checked with the cluster file.
BEFORE_CONTACT = (
    *("inventory/", "lab/", "tasks/", "report/", "linkmap/formats/", "programs/bench_options.py"),
    *("programs/collbench/pairs_options.py", "commands/inputs.py", "session/context.py"),
    *("ssh/audit.py", "ssh/identity.py", "verdict/expectation.py", "linkmap/resume.py"),
    "linkmap/measurement_plan.py",
)
# Single functions of modules that also run afterwards.
FUNCTIONS = {
    ("linkmap/map_plan.py", "begin_map"),
    ("run/choice.py", "asked"),
    ("trust/authority.py", "load"),
    ("trust/launching_host.py", "launch_place"),
    ("verdict/kept_baseline.py", "kept_baseline"),
}
# Where what may be found out too late is given another code.
CONVERTED = {("linkmap/map_plan.py", "settle_map"), ("trust/authority.py", "_held")}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def raised(node: ast.AST) -> set[str]:
    calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
    return {each.func.id for each in calls if isinstance(each.func, ast.Name)}


def caught(node: ast.AST) -> set[str]:
    handlers = (each.type for each in ast.walk(node) if isinstance(each, ast.ExceptHandler))
    return {name.id for each in handlers if each for name in ast.walk(each) if isinstance(name, ast.Name)}


def test_only_what_comes_before_any_contact_raises_a_usage_error():
    places = {
        (str(path.relative_to(PACKAGE)), function.name)
        for path in PACKAGE.rglob("*.py")
        for function in functions(path)
        if raised(function) & USAGE
    }

    assert {place for place in places if not place[0].startswith(BEFORE_CONTACT)} == FUNCTIONS


@pytest.mark.parametrize("place", sorted(CONVERTED))
def test_what_is_seen_too_late_has_another_code(place: tuple[str, str]):
    (function,) = (each for each in functions(PACKAGE / place[0]) if each.name == place[1])

    assert "UsageError" in caught(function)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([3, 6, 7, 4, 5], 5),
        ([3, 6, 7, 4], 4),
        ([3, 6, 7], 7),
        ([6, 3], 6),
        ([0, 3], 3),
        ([], 0),
    ],
)
def test_of_several_codes_the_first_by_precedence_counts(codes: list[int], expected: int):
    assert worst(map(ExitCode, codes)) == expected


def test_each_error_has_its_code():
    kinds: list[type[ClusterbootError]] = [UnreachableError, TrustError, ValidationError, UnsettledError]

    assert [kind.exit_code for kind in kinds] == [4, 5, 6, 7]


def test_a_host_that_was_not_trusted_decides_over_what_is_not_settled():
    error = UnsettledError("two networks", stage="hostfile")
    error.hosts = (HostResult("n1"), HostResult("n2", "untrusted", stage="hostkey"))

    assert Call("bootstrap", as_json=False).fail(error) is ExitCode.TRUST
