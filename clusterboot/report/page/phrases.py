"""Small words of a page: verdicts, times, figures."""

from __future__ import annotations

from .html import Html, el

# A verdict is told by its sign and word; colour only helps.
_SIGNS = {"ok": "✓", "inconclusive": "?"}


def badge(verdict: str | None, *, big: bool = False) -> Html:
    """Show a verdict: sign, word and colour."""
    if verdict is None:
        return el("span", "no verdict", class_="badge none")
    kind = {"ok": "good", "inconclusive": "open"}.get(verdict, "bad")
    sign = el("span", _SIGNS.get(verdict, "✕"), aria_hidden="true")
    return el("span", sign, f" {verdict}", class_=f"badge {kind}{' big' if big else ''}")


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
