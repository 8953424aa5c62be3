"""How often the tests that draw at random, or repeat what they do, do so.

``CLUSTERBOOT_TEST_SHARE`` is a factor for all of them: 0.1 for a second Python beside the
first, 100 for a night.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("CLUSTERBOOT_TEST_SHARE", "1"))


def share(count: int) -> int:
    """Scale a number of repetitions; it stays at least 1."""
    return max(1, round(count * SHARE))
