"""What the nodes are: each fact a shell snippet and a pure parser."""

from .collect import parse, sections
from .differences import described, differences
from .plain import to_json

__all__ = ["described", "differences", "parse", "sections", "to_json"]
