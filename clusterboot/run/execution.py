"""One mpirun, from its start on the launching node to the last process that it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clusterboot.hostfiles.slots import Slot
from clusterboot.mpi.launcher import RunSpec
from clusterboot.mpi.launchers import LAUNCHERS, command
from clusterboot.nodes.script import new_nonce
from clusterboot.session.visit import Visit

from .clearing import clear
from .journal import recorded
from .runend import RunEnd
from .runlog import LineLog
from .stream import Wire
from .supervise import SupervisedEnd, SupervisedStream, render_supervisor
from .watching import Overseer, who_is_lost

# The node's own watchdog acts where the operator's does not: later than that.
_LATER_S = 15
# The operator's heart beats once a second: so many beats that do not come are no accident.
_SILENCE_S = 5
# Of the command's own deadline so much is kept for ending a run and clearing the nodes.
_RESERVE_S = 10.0
_TICK_S = 0.5


@dataclass(frozen=True)
class Launch:
    """One launch: what runs where, and its limits.

    ``slots`` are the nodes that take part. ``timeout_s`` is the time that the run may take, in
    whole seconds; ``stall_s`` for how long it may print nothing, ``None`` where the program
    itself sees to that. ``files`` are more texts for the run's folder on the launching node, by name.
    """

    spec: RunSpec
    slots: Sequence[Slot]
    timeout_s: int
    stall_s: float | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def execute(visit: Visit, start: str, launch: Launch, log: LineLog) -> RunEnd:
    """Run a launch from node ``start`` and see it to its end.

    Parameters: ``log`` takes the output as it comes.
    Returns: how it ended; after anything but a clean end every node was asked to end what
    was left of this run, and who did not answer is asked again before the next run.
    """
    run_id = launch.spec.run_id
    hosts = dict.fromkeys([*(slot.host for slot in launch.slots), start])
    with recorded(visit.state_dir, run_id, hosts) as record:
        clean = False
        try:
            end = _run(visit, start, launch, log)
            clean = end.how == "exited" and not end.exit_code
        except KeyboardInterrupt:
            end = RunEnd("interrupted", detail="it was interrupted")
        finally:
            log.close()
            if clean:
                record.clear(list(record.hosts))
            else:
                answers = clear(visit, record)
    if clean:
        return end
    said = {name: each.bad_ends if each else None for name, each in answers.items()}
    return replace(end, bad_ends=said)


def _run(visit: Visit, start: str, launch: Launch, log: LineLog) -> RunEnd:
    allowed_s, late = _limit(visit, launch)
    frame = SupervisedStream(nonce := new_nonce())
    host = visit.machine(start)
    hostfile = LAUNCHERS[launch.spec.mpi.kind].hostfile(launch.slots)
    script = render_supervisor(
        command(launch.spec),
        cluster=visit.cluster.name,
        run_id=launch.spec.run_id,
        nonce=nonce,
        deadline_s=int(allowed_s) + _LATER_S,
        silence_s=_SILENCE_S,
        files={"hostfile": hostfile, **launch.files},
        others=[slot.ip for slot in launch.slots if slot.host != start],
        agent=launch.spec.agent,
    )
    log.begin(launch.spec.run_id)
    overseer = Overseer(
        *(visit, launch.spec.run_id, launch.slots, log),
        timeout_s=allowed_s,
        late=late,
        stall_s=launch.stall_s,
    )
    wire = Wire(
        visit.fleet.session(host),
        script.encode(),
        lambda: b"\n" if frame.begun else b"",
        label=f"mpirun {' '.join(launch.spec.program)}",
        timeout_s=allowed_s + 2 * _LATER_S,
    )
    with wire:
        for stream, data in wire.chunks(_TICK_S):
            log.feed(stream, frame.feed(data) if stream == "stdout" else data)
            stopped = overseer.look()
            if stopped is not None:
                log.cut()
                return stopped
    if wire.error is not None and frame.end is None:
        if visit.fleet.watchdog.out_of_time:
            return late
        return who_is_lost(visit, start, launch.spec.run_id, launch.slots, wire.error)
    return _ended(frame.end, late)


def _limit(visit: Visit, launch: Launch) -> tuple[float, RunEnd]:
    """Cut the run's time to what the command's deadline leaves beyond what clearing up takes.

    Returns: the time in seconds, and how a run ends that takes longer.
    """
    left_s = visit.fleet.watchdog.allow_s(launch.timeout_s + _RESERVE_S) - _RESERVE_S
    allowed_s = max(1.0, left_s)
    if left_s < launch.timeout_s:
        return allowed_s, RunEnd("deadline", detail=f"--deadline ended it after {allowed_s:.0f} s")
    return allowed_s, RunEnd("timed-out", detail=f"it did not end within {allowed_s:.0f} s")


def _ended(end: SupervisedEnd | None, late: RunEnd) -> RunEnd:
    if end is None:
        return RunEnd("unknown", detail="the launching node's shell ended before the run did")
    if end.how == "exited":
        return RunEnd("exited", end.exit_code)
    if end.how == "deadline":
        return late
    if end.how == "not-started":
        return RunEnd("could-not-launch", detail="the launching node's home cannot be written")
    if end.how == "gone":
        silent = f"the launching node heard nothing of this machine for {_SILENCE_S} s"
        return RunEnd("interrupted", detail=f"{silent}, and ended it")
    return RunEnd("interrupted", detail="it was stopped on the launching node")
