"""HTML put together so that nothing gets in unescaped: what is not :class:`Html` is text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, TypeAlias

from clusterboot.printable import printable

_VOID = frozenset({"meta", "br", "input", "col", "hr"})
# A verdict is told by its sign and word; colour only helps.
_SIGNS = {
    "ok": ("✓", "good"),
    "inconclusive": ("?", "open"),
    "partial": ("!", "open"),
    "dry run": ("○", "none"),
}


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
    return Html(f"<{name}{head}>" if name in _VOID else f"<{name}{head}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Put pieces one after another."""
    return Html("".join(_flat(children)))


def section(heading: str, *children: Child, id_: str | None = None) -> Html:
    """Make a section of the page; ``id_`` is what links to it say."""
    return el("section", el("h2", heading), *children, id=id_)


def folded(summary: str, body: Child, *, open_: bool = False) -> Html:
    """Put something away under a line that a click opens."""
    return el("details", el("summary", summary), body, open=open_)


def table(heads: Iterable[str], rows: Iterable[Sequence[Child]], *, caption: str, numbers: int = 0) -> Html:
    """Make a table: the first cell of each row heads it, the last ``numbers`` columns hold numbers."""
    heads = list(heads)
    kinds = [None if at < len(heads) - numbers else "n" for at in range(len(heads))]
    titles = [el("th", head, scope="col", class_=kind) for head, kind in zip(heads, kinds, strict=True)]
    lines = [
        el(
            "tr",
            el("th", cells[0], scope="row"),
            [el("td", cell, class_=kind) for cell, kind in zip(cells[1:], kinds[1:], strict=True)],
        )
        for cells in rows
    ]
    whole = el("table", el("caption", caption), el("thead", el("tr", titles)), el("tbody", lines))
    return el("div", whole, class_="table", tabindex=0, role="region", aria_label=caption)


def chart(name: str, label: str, scale: str, x: Sequence[float], lines: Sequence[dict[str, Any]]) -> Html:
    """Place a chart of lines over ``x``, a time or a size in bytes; a line without any point is left out."""
    seen = [line for line in lines if any(value is not None for value in line["y"])]
    described = {"x": list(x), "scale": scale, "lines": seen, "label": label}
    place = el("div", class_="chart", data_chart=name, role="group", tabindex=0, aria_label=label)
    return join(place, data(name, described))


def data(name: str, value: Any) -> Html:
    """Embed data for the page's script: JSON in which no tag and no comment can begin or end."""
    content = json.dumps(value, separators=(",", ":"), allow_nan=False)
    content = content.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Html(f'<script type="application/json" id="{text(name)}">{content}</script>')


def badge(verdict: str | None, *, big: bool = False) -> Html:
    """Show a verdict: sign, word and colour."""
    if verdict is None:
        return el("span", "no verdict", class_="badge none")
    sign, kind = _SIGNS.get(verdict, ("✕", "bad"))
    mark = el("span", sign, aria_hidden="true")
    return el("span", mark, f" {verdict}", class_=f"badge {kind}{' big' if big else ''}")


def when(started: str) -> str:
    """Write a time of RFC 3339 as people read it; what is none stays as it is."""
    if len(started) == 20 and started[10] == "T" and started.endswith("Z"):
        return f"{started[:10]} {started[11:16]} UTC"
    return started or "unknown time"


def duration(seconds: float | None) -> str:
    """Write how long something took."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def number(value: float | None) -> str:
    """Write a figure in three digits; ``N/A`` where there is none."""
    if value is None:
        return "N/A"
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2e}" if abs(value) < 0.001 else f"{value:#.3g}"


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
