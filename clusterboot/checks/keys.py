"""The keys that a bootstrap gives each node."""

from __future__ import annotations

from collections.abc import Mapping

from clusterboot.session.visit import UnfitError

from .check import Check
from .subjects import SurveyedNodes


class KeysThere(Check[SurveyedNodes, None]):
    """Each node has a key of this cluster, and its configuration."""

    def judge(self, subject: SurveyedNodes, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        return {
            name: UnfitError(
                "ssh",
                "it has no keys of this cluster",
                stage="keys",
                remedy="run bootstrap for this cluster first",
            )
            for name, found in subject.surveyed.items()
            if found.keys.public_key is None or found.keys.own_config.kind == "absent"
        }
