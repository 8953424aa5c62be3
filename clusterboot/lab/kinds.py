"""What a fault of a lab is: how it is made and how it is undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .description import Fault, Lab


@dataclass(frozen=True)
class Amount:
    """A number that follows a fault's name, from ``least`` to ``most``; ``default`` where it may be left out.

    ``name`` is its unit, as the help has it.
    """

    name: str
    least: float
    most: float
    default: float | None = None


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    ``make`` is given the lab with the fault already in its list, and returns the fault with what
    undoing needs; ``undo`` is given the lab with the fault no longer in it. With ``paired`` the
    fault is between two nodes, and written ``kind:OTHER``; with ``grouped`` it is of several, and
    written ``kind:OTHERS``; with ``on_switch`` it is of the ``switch``, and of no machine; with
    ``amount`` it has a size, and is written ``kind:NUMBER``.
    """

    summary: str
    make: Callable[[Lab, Fault], Fault]
    undo: Callable[[Lab, Fault], None]
    paired: bool = False
    grouped: bool = False
    on_switch: bool = False
    amount: Amount | None = None

    @property
    def form(self) -> str:
        """What follows the kind's name: nothing, or a colon and whom it is with, or how much."""
        if self.amount:
            return f":{self.amount.name}" if self.amount.default is None else f"[:{self.amount.name}]"
        return ":OTHER" if self.paired else ":OTHERS" if self.grouped else ""
