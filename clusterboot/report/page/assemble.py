"""The whole page: one file with everything in it, which may not reach any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from clusterboot import __version__

from ..saved import SavedRun
from .compare import comparison
from .curves import curves
from .html import Html, el, join
from .maps import link_matrix
from .past import Past, history
from .summary import details, findings, nodes, summary

# What tells a page of this program's from a file of somebody else's.
MARK = '<meta name="generator" content="clusterboot '

_STYLES = ("uplot/uPlot.min.css", "assets/page.css", "assets/parts.css")
_OWN_SCRIPTS = ("base", "cells", "picture", "heat", "paint", "keys", "chart", "start")


def page(runs: Sequence[SavedRun], past: Past = Past()) -> str:  # noqa: B008  # frozen
    """Write the page of one run, or of several side by side.

    Parameters: the runs, at least one; what is known of runs before it.
    Returns: a whole HTML document that needs nothing beside itself: its styles and scripts are
    in it, known by their hashes to a policy that forbids everything else.
    """
    if len(runs) > 1:
        title = f"{len(runs)} runs side by side"
        head = el("header", el("p", "comparison", class_="eyebrow"), el("h1", title), class_="top")
        return _document(title, [head, *comparison(runs)])
    (run,) = runs
    parts = [summary(run), findings(run), link_matrix(run), curves(run), nodes(run), history(run, past)]
    return _document(f"{run.command} · {run.cluster or run.name} · {run.started}", [*parts, details(run)])


def _document(title: str, parts: Sequence[Html | None]) -> str:
    style = _asset(*_STYLES)
    script = _asset("uplot/uPlot.iife.min.js", *(f"assets/{name}.js" for name in _OWN_SCRIPTS))
    # The licence goes with every copy of the library.
    script = f"/*! uPlot\n{_asset('uplot/LICENSE')}*/\n{script}"
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="generator", content=f"clusterboot {__version__}"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        # The project's own files, which have no end tag in them.
        Html(f"<style>{style}</style>"),
    )
    body = el(
        "body",
        el("a", "Skip to the content", href="#main", class_="skip"),
        el("main", parts, id="main"),
        el("footer", el("p", f"clusterboot {__version__}. Plots: uPlot, © 2022 Leon Sorokin, MIT License.")),
        el("div", id="said", role="status", aria_live="polite", class_="hidden"),
        Html(f"<script>{script}</script>"),
    )
    return str(join(Html("<!doctype html>\n"), el("html", head, body, lang="en"))) + "\n"


def _asset(*names: str) -> str:
    here = files("clusterboot.report.page")
    return "\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in names)


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
