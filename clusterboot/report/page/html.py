"""HTML put together so that nothing gets in unescaped: what is not :class:`Html` is text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any, TypeAlias

from clusterboot.printable import printable

_VOID = frozenset({"meta", "br", "input", "col", "hr"})


class Html(str):
    """Text that is HTML already, made by the functions here alone."""

    __slots__ = ()


Child: TypeAlias = "str | int | float | Iterable[Child] | None"


def text(value: object) -> Html:
    """Make HTML that shows a value as it is, whatever a node or a file put into it."""
    return Html(escape(printable(str(value)), quote=True))


def el(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """Make an element.

    Parameters: its name; its children, of which ``None`` is left out and text is escaped; its
    attributes: ``_`` in a name stands for ``-``, one at its end is dropped (``class_``), ``None``
    and ``False`` leave the attribute out.
    """
    head = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    body = "".join(_flat(children))
    return Html(f"<{name}{head}>" if name in _VOID else f"<{name}{head}>{body}</{name}>")


def join(*children: Child) -> Html:
    """Put pieces one after another."""
    return Html("".join(_flat(children)))


def table(heads: Iterable[str], rows: Iterable[Iterable[Child]], *, caption: str, numbers: int = 0) -> Html:
    """Make a table: the first cell of each row heads it, the last ``numbers`` columns hold numbers."""
    heads = list(heads)
    first = len(heads) - numbers
    return el(
        "div",
        el(
            "table",
            el("caption", caption),
            el(
                "thead",
                el(
                    "tr",
                    [
                        el("th", head, scope="col", class_="n" if at >= first else None)
                        for at, head in enumerate(heads)
                    ],
                ),
            ),
            el("tbody", [_row(list(row), first) for row in rows]),
        ),
        class_="table",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def data(name: str, value: Any) -> Html:
    """Embed data for the page's script: JSON in which no tag and no comment can begin or end."""
    content = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Html(
        f'<script type="application/json" id="{text(name)}">'
        + content.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        + "</script>"
    )


def _row(cells: list[Child], first: int) -> Html:
    heading = el("th", cells[0], scope="row") if cells else None
    return el(
        "tr",
        heading,
        [el("td", cell, class_="n" if at >= first else None) for at, cell in enumerate(cells[1:], 1)],
    )


def _flat(children: Child) -> Iterable[str]:
    if children is None:
        return
    if isinstance(children, Html):
        yield children
    elif isinstance(children, str | int | float):
        yield text(children)
    else:
        for child in children:
            yield from _flat(child)
