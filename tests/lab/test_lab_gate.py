"""Where no lab can run, its tests are skipped with the reason; in CI they fail."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def gate(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suite's conftest, on a machine that cannot run a lab."""
    found = next(p for p in pytestconfig.pluginmanager.get_plugins() if hasattr(p, "make_lab"))
    monkeypatch.setattr(found, "_obstacle", lambda **_: "this machine lacks sshd")
    return found


@pytest.fixture
def lab_item(request: pytest.FixtureRequest) -> pytest.Item:
    request.node.add_marker(pytest.mark.lab)
    return request.node


def test_elsewhere_they_are_skipped(gate: Any, lab_item: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="lacks sshd"):
        gate.pytest_runtest_setup(lab_item)


def test_in_ci_they_fail(gate: Any, lab_item: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="lacks sshd"):
        gate.pytest_runtest_setup(lab_item)


def test_other_tests_run_anywhere(gate: Any, request: pytest.FixtureRequest) -> None:
    gate.pytest_runtest_setup(request.node)
