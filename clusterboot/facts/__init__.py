"""What the nodes are: each fact a shell snippet and a pure parser."""

from clusterboot.facts.clock import ClockSample
from clusterboot.facts.collect import parse, sections
from clusterboot.facts.differences import Difference, Odd, described, differences
from clusterboot.facts.plain import to_json

__all__ = ["ClockSample", "Difference", "Odd", "described", "differences", "parse", "sections", "to_json"]
