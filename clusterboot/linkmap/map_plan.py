"""All that is settled before a link map's first launch: what carries it, what is mapped, in which rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clusterboot.checks.ready import Ready
from clusterboot.errors import UsageError, ValidationError
from clusterboot.hostfiles.outputs import slots_of
from clusterboot.hostfiles.slots import Slot
from clusterboot.programs.collbench.collbench_program import CollbenchMpi, NcclLibraries
from clusterboot.programs.collbench.pairs_options import Cost, PairsOptions, cost
from clusterboot.programs.registered import PAIRS
from clusterboot.run.choice import asked, choose
from clusterboot.session.visit import Visit
from clusterboot.units import format_size

from .doubt import fastest_gb_s, line_gb_s
from .endpoints import By, launched_on, places_of
from .measurement_plan import LinkPlan, MapMode, apart_plan, first_plan
from .progress import LinkState
from .resume import Earlier, begin

LEAST_PLACES = 2
# Two ranks need about this long for a communicator of their own, after the first.
_JOIN_S = 1.0


@dataclass(frozen=True)
class LinkMapOptions:
    """What to measure.

    ``budget_s`` bounds the measuring in seconds; ``resume`` is an earlier result, whose pairs
    are not measured again; ``launch_from`` the node to launch from where one is asked for. ``by``
    is what is mapped; ``backend`` carries the data, where ``auto`` is NCCL for GPUs if all nodes can.
    ``max_bytes_on_gpus`` stands for the largest message where GPU memory is measured.
    """

    mode: MapMode = "adaptive"
    pairs: PairsOptions = field(default_factory=PairsOptions)
    budget_s: float | None = None
    resume: Path | None = None
    launch_from: str | None = None
    by: By = "node"
    backend: str = "auto"
    share_gpu: bool = False
    max_bytes_on_gpus: int | None = None

    @property
    def least_nodes(self) -> int:
        """The fewest nodes between which there can be anything to measure."""
        return LEAST_PLACES if self.by == "node" else 1

    def on_gpus(self) -> LinkMapOptions:
        """Measure GPUs with larger messages, and reckon with the time that NCCL takes to begin."""
        largest = self.max_bytes_on_gpus or self.pairs.max_bytes
        return replace(self, pairs=replace(self.pairs, max_bytes=largest, join_s=_JOIN_S))


@dataclass(frozen=True)
class MapPlan:
    """What a map's first launch is to be.

    ``options`` are those for what carries the data; ``rounds`` is what is planned of it, ``price`` what that
    is expected to cost. ``state`` has what is known before; it grows as the map is measured.
    """

    program: CollbenchMpi
    libraries: NcclLibraries | None
    options: LinkMapOptions
    state: LinkState
    rounds: LinkPlan
    price: Cost
    what: str


def programs_asked(options: LinkMapOptions) -> list[CollbenchMpi]:
    """Give what may carry the data. Between nodes that is MPI unless NCCL is asked for.

    Errors: :class:`UsageError` where none can do what is asked for.
    """
    by_default = options.backend == "auto" and options.by == "node" and not options.share_gpu
    return asked("mpi" if by_default else options.backend, PAIRS, share_gpu=options.share_gpu)


def begin_map(options: LinkMapOptions, earlier: Earlier | None, names: Sequence[str]) -> LinkState:
    """Begin a map of these nodes, before any of them is contacted.

    Errors: :class:`UsageError` where there is no link, an earlier map of other nodes, or too small a budget.
    """
    if len(names) < options.least_nodes:
        raise UsageError(f"{names[0]} alone has no link to measure", remedy="give at least two nodes")
    if options.by != "node":
        # An earlier map's places are ranks, which are not known yet.
        return begin(None, names)
    state = begin(earlier, names)
    # With fewer nodes the fewest rounds take no longer.
    plan_first(options, state, names)
    return state


def settle_map(
    visit: Visit,
    ready: Ready,
    programs: Sequence[CollbenchMpi],
    options: LinkMapOptions,
    earlier: Earlier | None,
) -> MapPlan:
    """Choose what carries the data, and plan the first launch; nodes that cannot run it are out.

    Errors: as :func:`clusterboot.run.choice.choose`, and :class:`ValidationError` where nothing is left to
    measure, or not in the time that there is.
    """
    nodes = launched_on(ranks_of(visit, ready, options.by))
    on = ready.allocation(nodes, share_gpu=options.share_gpu)
    program, _ = choose(visit, on, programs)
    if program.on_gpu:
        options = options.on_gpus()
    places = ranks_of(visit, ready, options.by)
    if len(places) < LEAST_PLACES:
        cause = f"{len(places)} ranks have no link between them to measure"
        raise ValidationError(cause, stage="launch", remedy="give at least two nodes or GPUs")
    try:
        state = begin(earlier, [host.name for host in visit.cluster.hosts], places)
        rounds = plan_first(options, state, [place.host for place in places])
    except UsageError as error:
        # How many places take part, and how long GPUs take to begin, was not known before.
        raise ValidationError(error.cause, stage="launch", remedy=error.remedy) from None
    used = {entry.host: entry.interface for entry in ready.addresses.addresses}
    if not program.on_gpu:
        state.line_gb_s = line_gb_s(state.nodes, ready.facts, used)
    rate_gb_s = fastest_gb_s([place.host for place in places], ready.facts, used)
    price = cost(rounds.rounds, rounds.options, rate_gb_s)
    what = _what(program.described(on), ready, places, options)
    return MapPlan(program, program.libraries(on), options, state, rounds, price, what)


def plan_first(options: LinkMapOptions, state: LinkState, places: Sequence[str]) -> LinkPlan:
    """Plan the first launch of a map of these places; what ``state`` knows already is left out.

    Errors: :class:`UsageError` for a budget in which not even the fewest rounds fit.
    """
    known = state.known([state.nodes.index(place) for place in places])
    if state.crowd is not None:
        # An earlier map found that the fabric is shared: the rest goes as it went then.
        at_once = state.crowd.pairs_at_once
        plan = apart_plan(options.mode, options.pairs, options.budget_s, known, at_once)
        return plan or LinkPlan((), options.pairs)
    return first_plan(len(places), options.mode, options.pairs, options.budget_s, known)


def ranks_of(visit: Visit, ready: Ready, by: By = "node") -> tuple[Slot, ...]:
    """List the places that can take part, one rank each, the launching node's first: it has rank 0."""
    nodes = slots_of(visit, ready.facts, ready.addresses)
    return places_of(sorted(nodes, key=lambda slot: slot.host != ready.start), by)


def in_words(price: Cost) -> str:
    """Say what a launch will cost, in one line."""
    most = "" if price.bytes_most is None else f", at most {format_size(price.bytes_most)}"
    return (
        f"{price.pairs} pairs in {price.rounds} rounds, {price.measurements} measurements: "
        f"about {price.time_s:.0f} s{most}"
    )


def _what(program: str, ready: Ready, places: Sequence[Slot], options: LinkMapOptions) -> str:
    nodes = len(launched_on(places))
    mapped = f"{nodes} nodes" if options.by == "node" else f"{len(places)} ranks on {nodes} nodes"
    return f"{program.replace('collbench', 'collbench pairs')}: {mapped}, {ready.carrier}"
