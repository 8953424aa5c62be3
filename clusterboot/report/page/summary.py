"""The top of a page: what ran, the verdict, what was found with its evidence, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clusterboot.folding import by_value, fold
from clusterboot.linkmap.pair_matrix import Finding
from clusterboot.printable import listed

from ..matrix import next_task
from ..saved import SavedRun
from .html import Html, el, join
from .phrases import badge, duration, number, when

_HEADINGS = {
    "ok": "Nothing is at fault",
    "slow": "Slower than it should be",
    "wrong-data": "Wrong data",
    "failed": "The benchmark failed",
    "hung": "The benchmark hung",
    "could-not-launch": "The benchmark could not be launched",
    "inconclusive": "Nothing can be concluded",
}
_ARROWS = {"out": " → ", "in": " ← ", "both": " ↔ "}
_DIRECTIONS = {"out": "outbound only", "in": "inbound only", "both": "both directions"}


def summary(run: SavedRun) -> Html:
    """Say the verdict, why, and in a few figures what it rests on."""
    bad_hosts = [host for host in run.hosts if host.status not in ("ok", "skipped")]
    heading = _HEADINGS.get(run.verdict or "", "")
    if run.inference is not None and run.inference.findings and run.verdict != "ok":
        count = len(run.inference.findings)
        heading = f"{count} finding{'s' if count != 1 else ''}"
    if not heading:
        heading = f"{len(bad_hosts)} of {len(run.hosts)} hosts failed" if bad_hosts else "Done on all hosts"
    verdict = run.verdict or ("failed" if bad_hosts else "ok" if run.exit_code == 0 else None)
    return el(
        "header",
        el(
            "p",
            f"{run.command} · {run.cluster or 'no cluster'} · ",
            el("time", when(run.started), datetime=run.started),
            class_="eyebrow",
        ),
        el("h1", badge(verdict, big=True), " ", heading),
        el("p", run.told["reason"], class_="lead") if "reason" in run.told else None,
        el("dl", [_figure(what, value) for what, value in _figures(run)], class_="figures"),
        class_="top",
    )


def _figure(what: str, value: str) -> Html:
    return el("div", el("dt", what), el("dd", value))


def _figures(run: SavedRun) -> list[tuple[str, str]]:
    found = []
    if run.matrix is not None:
        cells = run.matrix.bandwidth_gbps
        count = len(run.matrix.nodes)
        known = cells[~np.isnan(cells)]
        found.append(("nodes", str(count)))
        found.append(("directions measured", f"{known.size / (count * (count - 1)):.0%}"))
        if known.size:
            found.append(("median of pairs", f"{number(float(np.median(known)))} GB/s"))
            found.append(
                ("slowest pair", f"{number(float(known.min()))} GB/s" if known.min() > 0 else "dead")
            )
    else:
        found.append(("hosts", f"{sum(host.status == 'ok' for host in run.hosts)} of {len(run.hosts)} ok"))
    for test in run.tests[:4]:
        if test.peak is not None:
            found.append((f"{test.collective or 'test'}, peak busbw", f"{number(test.peak[0])} GB/s"))
    if run.duration_s is not None:
        found.append(("took", duration(run.duration_s)))
    return found


def findings(run: SavedRun) -> Html:
    """Show everything that is wrong: findings of the map, problems of the benchmark, failed hosts."""
    cards = [_finding(run, found) for found in (run.inference.findings if run.inference else ())]
    cards += [
        _card(
            "bad",
            problem.kind,
            problem.text,
            f"{f'{problem.host}: ' if problem.host else ''}{f'line {problem.line}' if problem.line else ''}",
            problem.remedy,
        )
        for problem in dict.fromkeys((*run.problems, *(each for test in run.tests for each in test.problems)))
    ]
    failures = {
        host.name: (host.status, host.stage, host.cause, host.remedy)
        for host in run.hosts
        if host.status not in ("ok", "skipped")
    }
    cards += [
        _card(
            "bad",
            f"{fold(names)} {status}",
            f"{stage or 'somewhere'}: {cause or 'no cause was told'}",
            "",
            remedy or "",
        )
        for (status, stage, cause, remedy), names in by_value(failures)
    ]
    return el(
        "section",
        el("h2", "Findings"),
        el("ol", cards, class_="findings") if cards else el("p", "Nothing was found at fault."),
        [el("p", note, class_="note") for note in run.notes],
        _next(run),
        id="findings",
    )


def _next(run: SavedRun) -> Html | None:
    task = next_task(run.inference) if run.inference is not None else None
    if task is None:
        return None
    command = f"clusterboot {task}"
    return el(
        "p",
        "Run next: ",
        el("code", command),
        " ",
        el("button", "Copy", type="button", data_copy=command, class_="small"),
        class_="next",
    )


def _finding(run: SavedRun, found: Finding) -> Html:
    joined = _ARROWS[found.direction] if found.kind == "link" else " or " if found.next_pairs else ""
    hosts = joined.join(found.hosts) if joined else fold(found.hosts)
    if found.severity is None:
        measured = "not measured"
    else:
        measured = "dead" if found.severity == 0 else f"{found.severity:.0%} of the expected"
    told = found.kind != "link" and found.severity is not None
    direction = f", {_DIRECTIONS[found.direction]}" if told else ""
    open_ = bool(found.next_pairs) or found.severity is None
    return el(
        "li",
        el(
            "h3",
            el("span", f"{found.kind}{f' {found.where}' if found.where else ''}", class_="kind"),
            " ",
            el("span", hosts, class_="hosts"),
        ),
        el(
            "p",
            _meter(found.severity),
            el("span", el("strong", measured), direction),
            class_="measured",
        ),
        el("p", found.evidence),
        el("p", f"Not certain: measuring {_pairs(found.next_pairs)} would settle it.")
        if found.next_pairs
        else None,
        _show(run, found),
        class_="finding open" if open_ else "finding",
    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return listed([f"{a} with {b}" for a, b in pairs], 12)


def _meter(severity: float | None) -> Html | None:
    if severity is None:
        return None
    share = min(severity, 1.0)
    bar = el("rect", class_="fill", width=f"{share * 100:.1f}", height=8, rx=2)
    back = el("rect", class_="back", width=100, height=8, rx=2)
    return el("svg", back, bar, class_="meter", viewBox="0 0 100 8", width=100, height=8, aria_hidden="true")


def _show(run: SavedRun, found: Finding) -> Html | None:
    """Make the button that leads to the finding's cell in the map."""
    nodes = run.matrix.nodes if run.matrix is not None else ()
    at = [nodes.index(host) for host in found.hosts[:2] if host in nodes]
    if not at:
        return None
    first, second = (at[0], at[1]) if found.kind == "link" and len(at) > 1 else (at[0], -1)
    if found.direction == "in" and found.kind == "link":
        first, second = second, first
    return el("button", "Show in the map", type="button", class_="small", data_row=first, data_column=second)


def _card(kind: str, head: str, said: str, where: str, remedy: str) -> Html:
    return el(
        "li",
        el("h3", head),
        el("p", where, class_="faint") if where else None,
        el("pre", said) if "\n" in said else el("p", said),
        el("p", "What to do: ", remedy) if remedy else None,
        class_=f"finding {kind}",
    )


def details(run: SavedRun) -> Html:
    """Say what ran where and when."""
    names = {
        "what": "what",
        "backend": "benchmark",
        "mpi": "MPI",
        "launch_host": "launched from",
        "ranks": "ranks",
        "network": "network",
        "network_reason": "network",
        "mode": "mode",
        "keys": "keys",
        "rounds": "rounds",
        "launches": "launches",
        "expected_from": "expected from",
        "folder": "folder",
    }
    rows = [
        ("command", run.command),
        ("cluster", run.cluster or "none"),
        ("started", run.started or "unknown"),
        ("took", duration(run.duration_s)),
        ("exit code", "unknown" if run.exit_code is None else str(run.exit_code)),
        *((label, run.told[key]) for key, label in names.items() if key in run.told),
    ]
    states = by_value({host.name: host.status for host in run.hosts})
    rows += [(f"hosts {status}", fold(hosts)) for status, hosts in states]
    pairs = [join(el("dt", label), el("dd", value)) for label, value in rows]
    return el(
        "section", el("h2", "What ran, where and when"), el("dl", pairs, class_="details"), id="details"
    )
