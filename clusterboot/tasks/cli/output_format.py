"""``--format``: results for other programs, on standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from clusterboot.errors import UsageError
from clusterboot.report.about import About

from .command import Call, Export
from .options import choice

T = TypeVar("T")


def chosen(
    call: Call, name: str, formats: Mapping[str, Callable[[About, T | None], str]]
) -> Callable[[T | None], Export | None]:
    """Give what makes of a result what writes it in a format; ``None`` of each where none was asked for.

    From here on standard output is the format's, also where the command comes to no result.
    Errors: :class:`UsageError` for a format that there is not.
    """
    if not name:
        return lambda _: None
    render = formats[choice("--format", name, tuple(formats))]

    def exported(result: T | None) -> Export:
        def export(about: About) -> str:
            return render(about, result)

        return export

    call.leave_output_to_format(exported(None))
    return exported


def require_one(name: str, found: Sequence[object], what: str) -> None:
    """Refuse several results in a format, each of which is one document.

    Parameters: the format; the results, ``what`` is the word for one of them.
    """
    if name and len(found) > 1:
        raise UsageError(
            f"--format {name}: {len(found)} {what} are too many", remedy="give one of them at a time"
        )
