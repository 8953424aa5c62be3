"""What a fault of a lab is: how it is made and how it is undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .records import Fault, Lab


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    ``make`` is given the lab with the fault already in its list, and returns the fault with what
    undoing needs; ``undo`` is given the lab with the fault no longer in it. With ``paired`` the
    fault is between two nodes, and written ``kind:OTHER``.
    """

    summary: str
    make: Callable[[Lab, Fault], Fault]
    undo: Callable[[Lab, Fault], None]
    paired: bool = False
