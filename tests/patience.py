"""How long tests wait for what is sure to come, on any machine.

Where a wait ends because something has happened, a longer limit costs nothing: it is there for what
hangs, and not for a machine that is slow or stands still for a while.
"""

from __future__ import annotations

#: Whoever waits so long waits for ever.
HANGS_S = 900
