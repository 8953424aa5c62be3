"""Bootstrap an MPI/NCCL cluster through its head node and prove its interconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tasks.connecting import connect

__version__ = "0.1.0"
__all__ = ["__version__", "connect"]


def __getattr__(name: str) -> Any:
    # What only a user's own tasks need is imported when they ask for it: all else would start later.
    if name == "connect":
        from .tasks.connecting import connect  # noqa: PLC0415

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
