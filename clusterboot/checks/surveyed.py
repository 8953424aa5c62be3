"""What nodes said they are, as far as checks look at it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from clusterboot.trust.survey import Surveyed


@dataclass(frozen=True)
class SurveyedNodes:
    """The answers to a survey, by host, of the cluster of a name, and the operator's clock, in seconds."""

    cluster: str
    surveyed: Mapping[str, Surveyed]
    now_s: float

    def of(self, hosts: Collection[str]) -> SurveyedNodes:
        """Give the answers of ``hosts`` alone."""
        return replace(self, surveyed={name: said for name, said in self.surveyed.items() if name in hosts})
