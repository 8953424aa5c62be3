"""A saved result as one HTML page that opens offline."""

from clusterboot.report.page.assemble import MARK, page
from clusterboot.report.page.past import Past, PastRun

__all__ = ["MARK", "Past", "PastRun", "page"]
