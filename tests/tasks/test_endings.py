"""Commands by endings: what each format says of a run is what was seen, and all say the same."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from invoke.context import Context as InvokeContext
from invoke.exceptions import Exit

from clusterboot.errors import ExitCode, HostResult, InterruptedVisit, ValidationError
from clusterboot.linkmap.mapped import LinkMapped
from clusterboot.linkmap.progress import LinkState
from clusterboot.programs.collbench.pairs_options import Cost
from clusterboot.programs.records import (
    BenchTest,
    Judgement,
    LogJudgement,
    LogReport,
    Placement,
    Problem,
    Row,
)
from clusterboot.report.page import page
from clusterboot.report.saved import read_runs
from clusterboot.tasks.cli.options import writer
from clusterboot.tasks.link_map_task import link_map_task
from clusterboot.tasks.nccl_test_task import nccl_test_task
from clusterboot.verdict.benchmarked import Benchmarked
from json_schemas import check

CLUSTER = "type: fleet\nname: mine\nssh_config:\n  user: me\n  hosts: [n1, n2, n3, n4]\n"
NAMES = ("n1", "n2", "n3", "n4")
LOST = HostResult(
    "n4", "unreachable", stage="connect", cause="port 22 refuses connections", remedy="start sshd there"
)
UNFIT = HostResult("n3", "failed", stage="launch", cause="it has no orted", remedy="install openmpi-bin")
FORMATS = ("", "json", "csv", "junit", "prometheus")


def hosts(*others: HostResult) -> tuple[HostResult, ...]:
    named = {host.name: host for host in others}
    return tuple(named.get(name, HostResult(name)) for name in NAMES)


ALL_LOST = tuple(
    HostResult(name, "unreachable", stage="connect", cause="no answer", remedy="start it") for name in NAMES
)


@dataclass(frozen=True)
class Ended:
    """One ending: what became of the hosts, the exit code, and what is said of it.

    ``headline`` is the beginning of the headline, ``next`` what stands in the next step.
    """

    hosts: tuple[HostResult, ...]
    code: int
    headline: str
    next: str
    more: Mapping[str, Any] = field(default_factory=dict)
    raises: BaseException | None = None
    dry_run: bool = False
    kept: bool = True


def bench(verdict: str, reason: str = "", *problems: Problem, measured: bool = True) -> LogReport:
    rows = tuple(
        Row(size, size // 4, "float", "sum", -1, *(Placement(9.0, 8.0, 8.0, 0),) * 2)
        for size in (1 << 20, 1 << 22)
    )
    test = BenchTest("all_reduce", layout="2.13", rows=rows, verdict=verdict)  # type: ignore[arg-type]
    judged = Judgement(verdict, reason, problems)  # type: ignore[arg-type]
    tests = (test,) if measured else ()
    return LogReport(tests, LogJudgement(judged, (judged,) * len(tests)))


UNSETTLED = ValidationError("no node can be launched from", stage="launch", remedy="run bootstrap")
UNSETTLED.hosts = hosts()
BENCHMARKS: dict[str, Ended] = {
    "ok": Ended(
        hosts(), 0, "ok on all 4 nodes", "--keep-baseline", {"report": bench("ok", "all rows are there")}
    ),
    "partial": Ended(
        hosts(LOST),
        3,
        "ok on 3 of 4 nodes; n4 unreachable",
        "n4: start sshd there; then",
        {"report": bench("ok", "all rows are there")},
    ),
    "slow": Ended(
        hosts(),
        6,
        "slow: busbw is 1 GB/s, below 8 GB/s",
        "link-map",
        {"report": bench("slow", "busbw is 1 GB/s, below 8 GB/s")},
    ),
    "none reached": Ended(
        ALL_LOST, 4, "no node was reached; n[1-4] unreachable", "n[1-4]: start it; then", kept=False
    ),
    "dry run": Ended(hosts(), 0, "dry run on all 4 nodes", "without --dry-run", dry_run=True, kept=False),
    "interrupted": Ended(
        hosts(),
        130,
        "inconclusive: interrupted",
        "nccl-test",
        {"report": bench("inconclusive", "it was interrupted"), "cut_short": "interrupted"},
    ),
    "interrupted early": Ended(
        tuple(HostResult(name, "skipped", cause="interrupted before it was done") for name in NAMES),
        130,
        "not finished: interrupted",
        "run it again",
        kept=False,
        raises=InterruptedVisit(
            tuple(HostResult(name, "skipped", cause="interrupted before it was done") for name in NAMES)
        ),
    ),
    "deadline": Ended(
        hosts(),
        6,
        "inconclusive: --deadline ended it",
        "longer --deadline",
        {"report": bench("inconclusive", "--deadline ended it after 9 s"), "cut_short": "deadline"},
    ),
    "refused": Ended(
        hosts(UNFIT),
        6,
        "could-not-launch: 1 node cannot take part",
        "n3: install openmpi-bin; then",
        {"report": bench("could-not-launch", "1 node cannot take part", measured=False), "launched": False},
    ),
    "unsettled": Ended(
        hosts(), 6, "failed: launch: no node can", "run bootstrap", raises=UNSETTLED, kept=False
    ),
}


def mapped(ended: Ended, folder: Path | None) -> LinkMapped:
    """A map of the nodes; one that was cut short lacks the pairs of the last two."""
    state = LinkState.empty(NAMES)
    lost = {host.name for host in ended.hosts if host.status == "unreachable"}
    if folder is not None:
        for at, one in enumerate(NAMES):
            for to, other in enumerate(NAMES):
                late = ended.more.get("cut_short") and {one, other} <= {"n3", "n4"}
                if at != to and not lost & {one, other} and not late:
                    state.one_way_gb_s[at, to] = (
                        10.0 if "n2" not in (one, other) or "slow" not in ended.more else 1.0
                    )
    inference = state.inference()
    if ended.more.get("cut_short"):
        inference = type(inference)("inconclusive", inference.findings, inference.notes)
    cost = Cost(3, 6, 18, None, 1.0) if ended.dry_run else None
    cut_short = ended.more.get("cut_short")
    return LinkMapped(
        *(ended.hosts, ExitCode(ended.code), state, inference, "pairs", cost),
        launch_host="n1",
        folder=folder,
        backend="mpi",
        cut_short=cut_short,
    )


MAPS: dict[str, Ended] = {
    "ok": Ended(hosts(), 0, "ok on all 4 nodes; 6 of 6 pairs measured, none at fault", "nccl-test"),
    "partial": Ended(
        hosts(LOST),
        6,
        "inconclusive: node n4 not measured; 3 of 6 pairs measured; n4 unreachable",
        "n4: start sshd there; then",
    ),
    "slow": Ended(
        hosts(), 6, "slow: node n2 at 10% of the expected", "nccl-test --exclude n2", {"slow": True}
    ),
    "none reached": Ended(
        ALL_LOST, 4, "no node was reached; n[1-4] unreachable", "n[1-4]: start it; then", kept=False
    ),
    "dry run": Ended(hosts(), 0, "dry run on all 4 nodes", "without --dry-run", dry_run=True, kept=False),
    "interrupted": Ended(
        hosts(),
        130,
        "inconclusive: interrupted; 5 of 6 pairs",
        "link-map --resume ",
        {"cut_short": "interrupted"},
    ),
    "deadline": Ended(
        hosts(), 6, "inconclusive: --deadline ended it; 5 of 6", "--resume ", {"cut_short": "deadline"}
    ),
    "budget": Ended(
        hosts(), 6, "inconclusive: --budget ended it; 5 of 6", "--resume ", {"cut_short": "budget"}
    ),
    "unsettled": Ended(
        hosts(), 6, "failed: launch: no node can", "run bootstrap", raises=UNSETTLED, kept=False
    ),
}
TABLE = [("nccl-test", name) for name in BENCHMARKS] + [("link-map", name) for name in MAPS]
Said = Callable[[str], tuple[int, str, str]]


@dataclass(frozen=True)
class Seen:
    """What a command printed in each format, and the folder that it kept its result in."""

    ended: Ended
    folder: Path | None
    codes: dict[str, int]
    out: dict[str, str]
    err: dict[str, str]

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out["json"])
        return found


@pytest.fixture(scope="module", params=TABLE, ids=[f"{command}, {name}" for command, name in TABLE])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    command, name = request.param
    ended = (BENCHMARKS if command == "nccl-test" else MAPS)[name]
    home = tmp_path_factory.mktemp("home")
    (home / "cluster.yaml").write_text(CLUSTER)
    folder = home / "results/mine/run" if ended.kept else None
    if folder:
        folder.mkdir(parents=True)
    codes, out, err = {}, {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("CLUSTERBOOT_RESULTS", str(home))

        def answer(*_: object) -> Any:
            if ended.raises is not None:
                raise ended.raises
            if command == "link-map":
                return mapped(ended, folder)
            more = {"what": "4 ranks", "backend": "mpi", "launch_host": "n1", **ended.more}
            return Benchmarked(ended.hosts, ExitCode(ended.code), folder=folder, **more)

        patch.setattr("clusterboot.commands.nccl_test.nccl_test", answer)
        patch.setattr("clusterboot.commands.link_map.link_map", answer)
        task = nccl_test_task if command == "nccl-test" else link_map_task
        for wanted in FORMATS:
            codes[wanted], out[wanted], err[wanted] = printed(patch, task, ended, wanted)
    return Seen(ended, folder, codes, out, err)


def printed(patch: pytest.MonkeyPatch, task: Any, ended: Ended, wanted: str) -> tuple[int, str, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    patch.setattr("sys.stdout", out)
    patch.setattr("sys.stderr", err)
    wanted_as = {"json": wanted == "json", "format": wanted if wanted != "json" else ""}
    with pytest.raises(Exit) as exit_:
        task(InvokeContext(), dry_run=ended.dry_run, **wanted_as)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return exit_.value.code, texts[0], texts[1]


def test_every_format_ends_with_the_same_code_and_headline(seen: Seen) -> None:
    document = seen.document
    check(document)
    assert set(seen.codes.values()) == {seen.ended.code} == {document["exit_code"]}
    headline = document["headline"]
    assert headline.startswith(seen.ended.headline)
    assert seen.ended.raises is not None or headline in seen.out[""]
    assert f'headline="{headline}"' in seen.out["prometheus"]
    suites = list(ElementTree.fromstring(seen.out["junit"]).iter("testsuite"))  # noqa: S314
    for suite in suites:
        told = {each.get("name"): each.get("value") for each in suite.findall("properties/property")}
        assert (told["headline"], told["exit_code"]) == (headline, str(seen.ended.code))
    (run,) = read_runs(seen.out["json"].encode(), "run")
    assert (run.headline.text, run.about.headline.state) == (headline, state_of(seen))
    assert headline in page([run])


def state_of(seen: Seen) -> str:
    (state,) = re.findall(r'clusterboot_run_state\{.*state="([^"]*)"\} 1\n', seen.out["prometheus"])
    return str(state)


def test_what_is_green_is_ok_everywhere_and_nothing_else_is(seen: Seen) -> None:
    is_ok = seen.ended.code == 0
    assert (state_of(seen) in ("ok", "dry run")) == is_ok
    success = re.findall(r"clusterboot_run_success\{.*\} (\d)\n", seen.out["prometheus"])
    assert success == ["1" if is_ok else "0"]
    root = ElementTree.fromstring(seen.out["junit"])  # noqa: S314
    assert (
        (root.get("failures"), root.get("errors")) == ("0", "0")
        if is_ok
        else root.find(".//*[@message]") is not None
    )
    (run,) = read_runs(seen.out["json"].encode(), "run")
    made = page([run])
    assert ('class="badge good big"' in made) == (state_of(seen) == "ok")
    assert ("Nothing was found at fault" in made) == (state_of(seen) == "ok")


@pytest.mark.parametrize("wanted", FORMATS)
def test_every_host_that_is_not_done_is_named_with_stage_and_cause(seen: Seen, wanted: str) -> None:
    text = seen.out[wanted] + (seen.err[wanted] if wanted == "" else "")
    names = seen.document["hosts"]
    assert [host["name"] for host in names] == list(NAMES)
    for host in seen.ended.hosts:
        if host.status not in ("ok", "skipped"):
            assert {host.status, host.stage, host.cause} <= {
                *re.findall("|".join((host.status, str(host.stage), re.escape(str(host.cause)))), text)
            }
    if wanted not in ("", "json"):
        assert all(re.search(rf"\b{name}\b", text) for name in NAMES)
        assert seen.ended.raises is not None or '"mine"' in text or ",mine," in text


def test_no_line_claims_what_was_not_done(seen: Seen) -> None:
    text = seen.out[""]
    for folder in re.findall(r"Saved: (\S+)/", text):
        assert Path(folder).is_dir()
    assert ("Saved: " in text) == (seen.folder is not None)
    if seen.ended.dry_run:
        assert not re.search(r"No node|could be benchmarked|Nothing was measured", text)
    if not seen.ended.kept:
        assert not re.search(r"Ran: |at fault|Keys|ostfiles", text)


def test_the_next_step_can_help(seen: Seen) -> None:
    step = seen.document["next"]
    assert seen.ended.next in step
    if seen.ended.raises is None:
        assert seen.out[""].splitlines()[-1] == f"Next: {step}"
    if resumed := re.search(r"--resume (\S+)", step):
        assert Path(resumed[1]).is_dir()
    # What cannot be reached is not to be tried again as it is.
    lost = [host.name for host in seen.ended.hosts if host.status == "unreachable"]
    assert not lost or "; then " in step


@pytest.mark.parametrize(
    ("hosts", "exclude", "task", "written"),
    [
        (None, "", "nccl-test --keep-baseline", "nccl-test --keep-baseline"),
        ("n[1-3]", "", "link-map", "link-map --hosts 'n[1-3]'"),
        ("n[1-3]", "", "link-map --hosts n1,n2", "link-map --hosts n1,n2"),
        (None, "n4", "nccl-test --exclude n2", "nccl-test --exclude n2,n4"),
        ("n[1-3]", "n3", "bootstrap", "bootstrap"),
    ],
)
def test_the_next_command_is_of_the_same_hosts(hosts: Any, exclude: str, task: str, written: str) -> None:
    shared = {"cluster": "my lab", "hosts": hosts, "exclude": exclude}
    assert writer(shared)(task).partition(" ")[2] == f"{written} --cluster 'my lab'"
