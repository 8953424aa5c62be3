"""The mode of a cluster is not what one of its nodes says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.visit import Visit
from clusterboot.trust import policy
from clusterboot.trust.survey import Surveyed

HOSTS = ("n1", "n2", "n3")


@pytest.fixture
def choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def kinds(_: str, answer: set[str], __: object) -> set[str]:
        return answer

    monkeypatch.setattr(policy, "_kinds", kinds)
    cluster = SimpleNamespace(name="lab", options=SimpleNamespace(keys=None))
    visit = cast("Visit", SimpleNamespace(cluster=cluster, state_dir=tmp_path))

    def chosen(said: Mapping[str, set[str]], remembered: KeyMode | None = None) -> policy.Choice:
        if remembered:
            policy.remember(tmp_path, remembered)
        surveyed = cast("Mapping[str, Surveyed]", {name: said.get(name, set()) for name in HOSTS})
        return policy.choose(visit, surveyed, [(name,) for name in HOSTS], None)

    return chosen


def test_one_nodes_lines_put_the_others_on_no_other_terms(choose: Any) -> None:
    for claimed in ("shared", "ca"):
        said = choose({"n3": {claimed}})
        assert (said.mode, said.before) == ("per-node", (claimed,))
        assert choose({"n3": {claimed}}, "per-node").mode == "per-node"


def test_what_most_nodes_have_or_this_operator_chose_stays(choose: Any) -> None:
    assert choose({"n1": {"shared"}, "n2": {"shared"}}).mode == "shared"
    assert choose({"n1": {"per-node"}}).mode == "per-node"
    assert choose({"n1": {"ca"}}, "ca").mode == "ca"
    assert choose({"n1": {"per-node", "ca"}, "n2": {"ca"}}, "ca").mode == "ca"
