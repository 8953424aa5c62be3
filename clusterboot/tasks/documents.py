"""What each command's JSON document has beside the keys of :class:`clusterboot.document.Document`.

``docs/schema`` is generated from these records. A record says what is written, all of it, with the units.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import TypedDict

from clusterboot.facts.node import NodeFacts
from clusterboot.lab.description import LabStatus
from clusterboot.linkmap.formats.json import MatrixJson
from clusterboot.linkmap.measurement_plan import MapMode
from clusterboot.linkmap.progress import LinkStateJson
from clusterboot.mpi.launcher import Mpi
from clusterboot.programs.collbench.pairs_options import Cost
from clusterboot.programs.records import PlacementName, Verdict
from clusterboot.report.factlines import FactLine
from clusterboot.run.counters import Counters
from clusterboot.verdict.as_json import BenchTestJson, LogJson, ProblemJson
from clusterboot.verdict.expectation import ExpectedJson


class ChangeJson(TypedDict):
    """A change that a dry run would make, once for all hosts where it is the same."""

    hosts: str
    """Folded."""
    path: str
    diff: str
    """Unified."""


# ``from`` is a word of Python's own, and no name of a field.
FailedLogin = TypedDict("FailedLogin", {"from": str, "to": str, "cause": str, "text": str, "remedy": str})


class LoginFindingJson(TypedDict):
    """Failed logins between nodes that have one cause."""

    kind: str
    """target: no one reaches the host; source: it reaches no one; pair: one login among good ones."""
    host: str
    cause: str
    text: str
    remedy: str
    logins: list[list[str]]
    """The failures, each from and to."""


class BootstrapJson(TypedDict):
    """``bootstrap``."""

    keys: str
    """per-node, ca or shared."""
    keys_reason: str | None
    finished: bool
    shared_homes: list[list[str]]
    """Hosts that share one home directory."""
    network: str | None
    network_reason: str | None
    addresses: Mapping[str, str]
    """The address that MPI uses, by host."""
    changed_files: Mapping[str, list[str]]
    """By host."""
    changes: list[ChangeJson]
    """Of a dry run."""
    names: Mapping[str, list[str]]
    """Names that a host goes by beside the cluster file's."""
    notes: Mapping[str, list[str]]
    """By host."""
    launch_host: str | None
    node_facts: list[FactLine]
    failed_logins: list[FailedLogin]
    findings: list[LoginFindingJson]
    hostfiles: str
    """Their folder."""
    changed_hostfiles: list[str]


class FactsJson(TypedDict):
    """``facts``."""

    facts: Mapping[str, NodeFacts]
    """By host."""


class AnswerJson(TypedDict):
    """What one host answered to a command."""

    exit_code: int
    stdout: str
    stderr: str


class RunJson(TypedDict):
    """``run``."""

    answers: Mapping[str, AnswerJson]
    """By host."""


class CopyJson(TypedDict):
    """``copy``."""

    file: str
    size_bytes: int
    sha256: str
    mode: str
    """Permission bits, octal."""
    paths: Mapping[str, str]
    """Where it is, by host."""


class RotateKeysJson(TypedDict):
    """``rotate-keys``."""

    keys: str
    """per-node, ca or shared."""
    finished: bool
    changed_files: Mapping[str, list[str]]
    """By host."""
    failed_logins: list[FailedLogin]


class TeardownJson(TypedDict):
    """``teardown``."""

    changed_files: Mapping[str, list[str]]
    """By host."""
    changes: list[ChangeJson]
    """Of a dry run."""
    still_to_do: list[str]
    """Hosts that could not be reached."""


class SingleRunJson(TypedDict):
    """One of several runs of one benchmark."""

    verdict: Verdict
    reason: str
    log: str
    """Its file's name."""
    tests: list[BenchTestJson]


class SpreadJson(TypedDict):
    """What the repeats of one collective differ by."""

    collective: str | None
    placement: PlacementName
    runs_gb_s: list[float]
    """Each run's bus bandwidth at its largest sizes, 10^9 bytes a second."""
    median_gb_s: float
    """10^9 bytes a second."""
    spread: float
    """The range over the median, 0.05 for 5%."""
    wide: bool
    """Whether the runs differ by too much to call anything slow."""


class NcclTestJson(TypedDict):
    """``nccl-test``."""

    verdict: Verdict
    reason: str
    notes: list[str]
    what: str
    """What ran, over what, in words."""
    backend: str | None
    """The program that ran: nccl-tests, or collbench over nccl or mpi."""
    mpi: Mpi | None
    launch_host: str | None
    ranks: int
    shares_gpus: bool
    """Whether several ranks used one GPU: then nothing is said of bandwidths."""
    network: str | None
    expected_from: str | None
    expected_derivation: str | None
    expected: list[ExpectedJson]
    node_facts: list[FactLine]
    tests: list[BenchTestJson]
    problems: list[ProblemJson]
    runs: list[SingleRunJson]
    """The single runs, where there are several."""
    spreads: list[SpreadJson]
    counters: Mapping[str, Counters]
    """What the counters of each host grew by."""
    folder: Path | None


class NothingLaunchedJson(TypedDict):
    """``nccl-test`` where nothing was launched; ``hosts`` says why."""

    verdict: None
    tests: list[BenchTestJson]
    """Empty."""


class LinkMapJson(LinkStateJson):
    """``link-map``."""

    mode: MapMode
    what: str
    """What ran, over what, in words."""
    cost: Cost | None
    """What the first launch was expected to take."""
    backend: str | None
    """The program that ran: nccl-tests, or collbench over nccl or mpi."""
    mpi: Mpi | None
    launch_host: str | None
    node_facts: list[FactLine]
    files: list[str]
    """Hostfiles that changed."""
    folder: Path | None


class NcclParseJson(TypedDict):
    """``nccl-parse``."""

    files: list[LogJson]


class StoredMatrixJson(MatrixJson):
    """A stored matrix, judged. How it was measured, it does not say."""

    path: str
    caption: str | None
    rounds: None
    launches: None


class DiagnoseJson(TypedDict):
    """``diagnose``."""

    files: list[StoredMatrixJson]


class ReportJson(TypedDict):
    """``report``."""

    page: Path
    size_bytes: int
    results: list[str]


class AuditLogJson(TypedDict):
    """``audit``."""

    log: Path


class FlawJson(TypedDict):
    """A line of the audit log that is not as it was written."""

    line: int
    cause: str


class AuditVerifiedJson(AuditLogJson):
    """``audit --verify``."""

    entries: int
    last_hash: str
    """SHA-256 of the last line."""
    flaws: list[FlawJson]


class LabUpJson(TypedDict):
    """``lab.up``."""

    cluster_file: str
    nodes: int
    already_running: bool


class LabDownJson(TypedDict):
    """``lab.down``."""

    removed: bool


class LabStatusJson(TypedDict):
    """``lab.status``."""

    labs: list[LabStatus]


class LabFaultsJson(TypedDict):
    """``lab.break … help``."""

    faults: list[str]


class NothingMoreJson(TypedDict):
    """Nothing of the command's own."""


# What a command writes where it does not fail as a whole, one of several.
PARTS: Mapping[str, tuple[type, ...]] = {
    "bootstrap": (BootstrapJson,),
    "facts": (FactsJson,),
    "run": (RunJson, NothingMoreJson),
    "copy": (CopyJson, NothingMoreJson),
    "rotate-keys": (RotateKeysJson,),
    "teardown": (TeardownJson,),
    "nccl-test": (NcclTestJson, NothingLaunchedJson),
    "link-map": (LinkMapJson,),
    "nccl-parse": (NcclParseJson,),
    "diagnose": (DiagnoseJson,),
    "report": (ReportJson,),
    "audit": (AuditLogJson, AuditVerifiedJson),
    "lab.up": (LabUpJson,),
    "lab.down": (LabDownJson,),
    "lab.status": (LabStatusJson,),
    "lab.break": (NothingMoreJson, LabFaultsJson),
    "lab.mend": (NothingMoreJson,),
}
