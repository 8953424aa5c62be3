"""What the nodes are: each fact a shell snippet and a pure parser."""

from .clock import ClockSample
from .collect import parse, sections
from .differences import described, differences
from .plain import to_json

__all__ = ["ClockSample", "described", "differences", "parse", "sections", "to_json"]
