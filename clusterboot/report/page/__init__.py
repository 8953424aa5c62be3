"""A saved result as one HTML page that opens offline."""

from .assemble import MARK, page
from .past import Past, PastRun

__all__ = ["MARK", "Past", "PastRun", "page"]
