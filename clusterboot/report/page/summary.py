"""A page's words: the verdict, what was found with its evidence, what to do next, what ran on which nodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clusterboot.errors import HostResult
from clusterboot.folding import by_value, fold
from clusterboot.linkmap.pair_matrix import Finding
from clusterboot.printable import listed

from ..next_steps import after_findings
from ..saved import SavedRun
from .html import Child, Html, badge, duration, el, join, number, section, table, when

_RENAMED = {
    "backend": "benchmark",
    "mpi": "MPI",
    "launch_host": "launched from",
    "network_reason": "network",
    "expected_from": "expected from",
}
_DETAILS = (
    *(
        "what",
        "backend",
        "mpi",
        "launch_host",
        "ranks",
        "network",
        "network_reason",
        "mode",
        "keys",
        "rounds",
    ),
    *("launches", "expected_from", "folder"),
)
_ARROWS = {"out": " → ", "in": " ← ", "both": " ↔ "}
_DIRECTIONS = {"out": "outbound only", "in": "inbound only", "both": "both directions"}


def summary(run: SavedRun) -> Html:
    """Say the verdict, why, and in a few figures what it rests on."""
    line = run.headline
    reason = run.told.get("reason", "")
    time = el("time", when(run.started), datetime=run.started)
    return el(
        "header",
        el("p", f"{run.command} · {run.cluster or 'no cluster'} · ", time, class_="eyebrow"),
        el("h1", badge(run.sign, big=True), " ", line.text),
        el("p", reason, class_="lead") if reason and reason not in line.text else None,
        el(
            "dl",
            [el("div", el("dt", what), el("dd", value)) for what, value in _figures(run)],
            class_="figures",
        ),
        class_="top",
    )


def _bad_hosts(run: SavedRun) -> list[HostResult]:
    return [host for host in run.hosts if host.status not in ("ok", "skipped")]


def _figures(run: SavedRun) -> Iterator[tuple[str, str]]:
    if run.matrix is not None:
        count = len(run.matrix.nodes)
        known = run.matrix.bandwidth_gb_s[~np.isnan(run.matrix.bandwidth_gb_s)]
        yield "nodes", str(count)
        yield "directions measured", f"{known.size / (count * (count - 1)):.0%}"
        if known.size:
            yield "median of pairs", f"{number(float(np.median(known)))} GB/s"
            yield "slowest pair", f"{number(float(known.min()))} GB/s" if known.min() > 0 else "dead"
    else:
        yield "hosts", f"{sum(host.status == 'ok' for host in run.hosts)} of {len(run.hosts)} ok"
    for test in run.tests[:4]:
        if test.peak is not None:
            yield f"{test.collective or 'test'}, peak busbw", f"{number(test.peak[0])} GB/s"
    if run.duration_s is not None:
        yield "took", duration(run.duration_s)


def findings(run: SavedRun) -> Html:
    """Show everything that is wrong: findings of the map, problems of the benchmark, failed hosts."""
    cards = [_finding(run, found) for found in (run.inference.findings if run.inference else ())]
    for problem in dict.fromkeys((*run.problems, *(each for test in run.tests for each in test.problems))):
        where = (f"{problem.host}: " if problem.host else "") + (
            f"line {problem.line}" if problem.line else ""
        )
        cards.append(_card(problem.kind, problem.text, where, problem.remedy))
    failures = {host.name: (host.status, host.stage, host.cause, host.remedy) for host in _bad_hosts(run)}
    for (status, stage, cause, remedy), names in by_value(failures):
        said = f"{stage or 'somewhere'}: {cause or 'no cause was told'}"
        cards.append(_card(f"{fold(names)} {status}", said, "", remedy or ""))
    return section(
        "Findings",
        el("ol", cards, class_="findings") if cards else el("p", _nothing_found(run)),
        [el("p", note, class_="note") for note in run.notes],
        _next(run),
        id_="findings",
    )


def _nothing_found(run: SavedRun) -> str:
    """Say what no finding means: only of a run that is ok that nothing is at fault."""
    if run.headline.state == "ok":
        return "Nothing was found at fault."
    return run.told.get("reason") or run.headline.text


def _next(run: SavedRun) -> Html | None:
    command = run.told.get("next")
    if command is None and run.inference is not None and run.matrix is not None:
        step = after_findings(run.inference, run.matrix.nodes)
        command = step("clusterboot {}".format) if step else None
    if command is None:
        return None
    copy = el("button", "Copy", type="button", data_copy=command, class_="small")
    return el("p", "Run next: ", el("code", command), " ", copy, class_="next")


def _finding(run: SavedRun, found: Finding) -> Html:
    joined = _ARROWS[found.direction] if found.kind == "link" else " or " if found.next_pairs else ""
    hosts = joined.join(found.hosts) if joined else fold(found.hosts)
    if found.fraction_of_expected is None:
        measured = "not measured"
    else:
        measured = (
            "dead" if found.fraction_of_expected == 0 else f"{found.fraction_of_expected:.0%} of the expected"
        )
    told = found.kind != "link" and found.fraction_of_expected is not None
    direction = f", {_DIRECTIONS[found.direction]}" if told else ""
    kind = el("span", f"{found.kind}{f' {found.where}' if found.where else ''}", class_="kind")
    pairs = listed([f"{a} with {b}" for a, b in found.next_pairs], 12)
    return el(
        "li",
        el("h3", kind, " ", el("span", hosts, class_="hosts")),
        el(
            "p",
            _meter(found.fraction_of_expected),
            el("span", el("strong", measured), direction),
            class_="measured",
        ),
        el("p", found.evidence),
        el("p", f"Not certain: measuring {pairs} would settle it.") if pairs else None,
        _show(run, found),
        class_="finding open" if found.next_pairs or found.fraction_of_expected is None else "finding",
    )


def _meter(fraction: float | None) -> Html | None:
    if fraction is None:
        return None
    share = min(fraction, 1.0)
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


def _card(head: str, said: str, where: str, remedy: str) -> Html:
    return el(
        "li",
        el("h3", head),
        el("p", where, class_="faint") if where else None,
        el("pre", said) if "\n" in said else el("p", said),
        el("p", "What to do: ", remedy) if remedy else None,
        class_="finding bad",
    )


def nodes(run: SavedRun) -> Html | None:
    """Show the facts of a run's nodes, every difference marked."""
    if not run.facts:
        return None
    rows: list[list[Child]] = []
    for line in sorted(run.facts, key=lambda line: not line.odd):
        odd = [el("div", el("strong", f"▲ {odd.hosts}"), f": {odd.value}", class_="odd") for odd in line.odd]
        rows.append([line.fact, line.usual if line.clear else f"{line.usual} (as many have another)", odd])
    count = sum(bool(line.odd) for line in run.facts)
    told = f"{count} fact{'s differ' if count != 1 else ' differs'}" if count else "no fact differs"
    return section(
        "Nodes",
        el("p", f"Of {len(run.facts)} facts that were compared, {told} between the nodes."),
        table(("fact", "most nodes", "differs on"), rows, caption="Facts of the nodes, differences first"),
        id_="nodes",
    )


def details(run: SavedRun) -> Html:
    """Say what ran where and when."""
    rows = [
        ("command", run.command),
        ("cluster", run.cluster or "none"),
        ("started", run.started or "unknown"),
        ("took", duration(run.duration_s)),
        ("exit code", "unknown" if run.exit_code is None else str(run.exit_code)),
        *((_RENAMED.get(key, key), run.told[key]) for key in _DETAILS if key in run.told),
    ]
    states = by_value({host.name: host.status for host in run.hosts})
    rows += [(f"hosts {status}", fold(hosts)) for status, hosts in states]
    pairs = [join(el("dt", label), el("dd", value)) for label, value in rows]
    return section("What ran, where and when", el("dl", pairs, class_="details"), id_="details")
