"""What the nodes are: each fact a shell script and a pure reading of what it prints."""

from .collect import FACTS, question
from .differences import described, differences
from .fact import Fact, Wanted

__all__ = ["FACTS", "Fact", "Wanted", "described", "differences", "question"]
