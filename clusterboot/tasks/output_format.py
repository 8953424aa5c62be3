"""``--format``: results for other programs, on standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec

from rich.console import Console

from clusterboot.errors import UsageError

from .command import Show
from .options import choice

_Result = ParamSpec("_Result")


def chosen(name: str, formats: Mapping[str, Callable[_Result, str]]) -> Callable[_Result, Show] | None:
    """Give what prints a result in a format; ``None`` where none was asked for.

    Errors: :class:`UsageError` for a format that there is not.
    """
    if not name:
        return None
    render = formats[choice("--format", name, tuple(formats))]

    def printing(*result: _Result.args, **more: _Result.kwargs) -> Show:
        def show(to: Console) -> None:
            to.file.write(render(*result, **more))

        return show

    return printing


def require_one(name: str, found: Sequence[object], what: str) -> None:
    """Refuse several results in a format, each of which is one document.

    Parameters: the format; the results, ``what`` is the word for one of them.
    """
    if name and len(found) > 1:
        raise UsageError(
            f"--format {name}: {len(found)} {what} are too many", remedy="give one of them at a time"
        )
