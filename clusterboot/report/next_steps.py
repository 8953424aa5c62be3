"""What to do next after each result: something that can help, and never what must fail again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from clusterboot.errors import HostResult, Stage
from clusterboot.folding import by_value, fold
from clusterboot.linkmap.endpoints import host_of
from clusterboot.linkmap.mapped import LinkMapped
from clusterboot.linkmap.pair_matrix import Inference
from clusterboot.programs.records import Judgement
from clusterboot.verdict.benchmarked import Benchmarked

#: Writes a command line of a task with its options.
Written = Callable[[str], str]

_LAUNCHING: tuple[Stage | None, ...] = ("launch", "run", "parse")
_FEWEST_NODES = 2
_LONGER = "the same command with a longer --deadline"
_FOR_REAL = "the same command without --dry-run"


def lost_hosts(hosts: Sequence[HostResult]) -> list[HostResult]:
    """List the hosts that are not done."""
    return [host for host in hosts if host.status not in ("ok", "skipped")]


def mend_hosts(hosts: Sequence[HostResult], again: str, written: Written) -> str | None:
    """Say what to do about the hosts that are not done, those with the most frequent remedy first.

    Parameters: ``again`` is the task to go on with where they can be reached and trusted; else that is
    ``bootstrap``, which leaves alone what is in place.
    Returns: ``None`` where each host is done.
    """
    lost = lost_hosts(hosts)
    if not lost:
        return None
    (remedy, is_launched), names = by_value(
        {host.name: (host.remedy or "look at what stopped there", host.stage in _LAUNCHING) for host in lost}
    )[0]
    then = written(again if is_launched else "bootstrap")
    return then if "bootstrap" in remedy else f"{fold(names)}: {remedy}; then {then}"


def after_benchmark(result: Benchmarked, written: Written, *, dry_run: bool = False) -> str | None:
    """Say what can help after a benchmark."""
    report = result.report
    if result.cut_short:
        return _LONGER if result.cut_short == "deadline" else written("nccl-test")
    if report is None or report.verdict == "ok":
        further = _after_good(result, written) if report else _FOR_REAL if dry_run else None
        return mend_hosts(result.hosts, "nccl-test", written) or further
    verdict, overall = report.verdict, report.judgement.overall
    failed = [host for host in result.hosts if host.status == "failed"]
    if verdict == "could-not-launch" and failed:
        return mend_hosts(failed, "nccl-test", written)
    good = [host.name for host in result.hosts if host.status == "ok"]
    if verdict in ("slow", "hung") and len(good) >= _FEWEST_NODES:
        return written("link-map")
    if verdict in ("slow", "inconclusive"):
        return written("nccl-test --repeat 3")
    return _after_failure(overall, good, written)


def _after_good(result: Benchmarked, written: Written) -> str:
    if result.shares_gpus:
        return f"{written('nccl-test')}, where each rank has a GPU of its own"
    if result.expectation.baseline is None:
        return (
            f"{written('nccl-test --keep-baseline')}, to hold later runs against this cluster's own figures"
        )
    return written("link-map")


def _after_failure(overall: Judgement, good: Sequence[str], written: Written) -> str | None:
    named = dict.fromkeys(problem.host for problem in overall.problems if problem.host in good)
    bad = [name for name in named if name]
    if bad and len(good) - len(bad) >= _FEWEST_NODES:
        return written(f"nccl-test --exclude {shlex.quote(fold(bad))}")
    first = next(iter(overall.problems), None)
    if first is None or not first.remedy:
        return written("nccl-test")
    where = f"{first.host}: " if first.host else ""
    return f"{where}{first.remedy}; then {written('nccl-test')}"


def after_map(result: LinkMapped, written: Written, *, dry_run: bool = False) -> str | None:
    """Say what can help after a link map."""
    further = f"link-map --resume {shlex.quote(str(result.folder))}" if result.folder else "link-map"
    if result.cut_short == "deadline":
        return f"{written(further)} with a longer --deadline" if result.folder else _LONGER
    if result.cut_short:
        return written(further)
    if result.folder is None:
        return mend_hosts(result.hosts, "link-map", written) or (_FOR_REAL if dry_run else None)
    lost = {host.name for host in lost_hosts(result.hosts)}
    reached = [node for node in result.state.nodes if host_of(node) not in lost]
    step = after_findings(result.inference, reached)
    if step is not None:
        return step(written)
    mended = mend_hosts(result.hosts, "link-map", written)
    if mended is not None:
        return mended
    return written(
        "nccl-test" if result.inference.verdict == "ok" or len(reached) == 2 else "link-map --mode full"
    )


def after_findings(inference: Inference, reached: Sequence[str]) -> Callable[[Written], str] | None:
    """Say what settles an open finding, else what goes on without the bad nodes, or mends what is bad.

    Parameters: the nodes that can take part in a run.
    Returns: what writes the step with a writer of command lines; ``None`` where no finding asks for any.
    """
    seen = [each for each in inference.findings if each.fraction_of_expected is not None]
    open_ = dict.fromkeys(host for each in inference.findings for pair in each.next_pairs for host in pair)
    if open_ and set(open_) <= set(reached):
        hosts = shlex.quote(fold(dict.fromkeys(map(host_of, open_))))
        return lambda written: written(f"link-map --hosts {hosts}")
    certain = [each for each in seen if each.kind == "node" and not each.next_pairs]
    bad = dict.fromkeys(host_of(host) for each in certain for host in each.hosts)
    left = {host_of(host) for host in reached} - set(bad)
    if bad and len(left) >= _FEWEST_NODES:
        return lambda written: written(f"nccl-test --exclude {shlex.quote(fold(bad))}")
    if not seen:
        return None
    first = seen[0]
    what = {
        "node": f"the network adapter, cable and switch port of {fold(first.hosts)}",
        "link": f"the cables and switch ports between {' and '.join(first.hosts)}",
        "group": f"the switch and uplinks of {fold(first.hosts)}",
    }[first.kind]
    return lambda written: f"check {what}; then {written('link-map')}"
