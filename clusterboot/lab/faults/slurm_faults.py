"""Faults of a lab's Slurm: its daemons, its settings, and what others do with the nodes."""

from __future__ import annotations

from .. import slurm_daemons, slurm_files
from ..description import HEAD, OTHER_UID, PARTITION, Fault, Lab
from ..enter import machine_of
from ..slurm_daemons import on_head
from .kinds import FaultKind

_AS_OTHER = ("setpriv", f"--reuid={OTHER_UID}", f"--regid={OTHER_UID}", "--clear-groups")
_REASON = "bad memory, ticket 1234"


def _update(lab: Lab, node: str, *words: str) -> None:
    on_head(lab, ["scontrol", "update", f"NodeName={node}", *words])


def _stop_slurmd(lab: Lab, fault: Fault) -> None:
    slurm_daemons.stop(machine_of(lab, fault.node), "slurmd", "slurmstepd")
    # What slurmctld would find out by itself after SlurmdTimeout, which is 300 s.
    _update(lab, fault.node, "State=DOWN", "Reason=Not responding")
    _update(lab, fault.node, "State=NORESP")


def _start_slurmd(lab: Lab, fault: Fault) -> None:
    node = machine_of(lab, fault.node)
    slurm_daemons.start_on(lab, node)
    slurm_daemons.wait_for_nodes(lab, [node])


def _stop_controller(lab: Lab, _fault: Fault) -> None:
    slurm_daemons.stop(lab.head, "slurmctld")


def _start_controller(lab: Lab, _fault: Fault) -> None:
    slurm_daemons.start_on(lab, lab.head)


def _drain(lab: Lab, fault: Fault) -> None:
    _update(lab, fault.node, "State=DRAIN", f"Reason={_REASON}")


def _resume(lab: Lab, fault: Fault) -> None:
    _update(lab, fault.node, "State=RESUME")


def _reserve(lab: Lab, fault: Fault) -> None:
    words = ("Users=root", "StartTime=now", "Duration=UNLIMITED", "Flags=MAINT,IGNORE_JOBS")
    on_head(
        lab,
        ["scontrol", "create", "reservation", f"Reservation={_name(fault)}", *words, f"Nodes={fault.node}"],
    )


def _free(lab: Lab, fault: Fault) -> None:
    on_head(lab, ["scontrol", "delete", f"ReservationName={_name(fault)}"])


def _submit(lab: Lab, fault: Fault) -> None:
    """Have somebody else's job take a node, or of the head all nodes."""
    partition = slurm_files.URGENT if fault.kind == "urgent" else PARTITION
    nodes = f"--nodes={len(lab.nodes)}" if fault.node == HEAD else f"--nodelist={fault.node}"
    words = (
        "--exclusive",
        "--no-requeue",
        "--output=/dev/null",
        "--chdir=/tmp",
        "--wrap=exec sleep infinity",
    )
    on_head(
        lab, [*_AS_OTHER, "sbatch", f"--job-name={_name(fault)}", f"--partition={partition}", nodes, *words]
    )


def _cancel(lab: Lab, fault: Fault) -> None:
    on_head(lab, ["scancel", f"--name={_name(fault)}"])


def _configure(lab: Lab, _fault: Fault) -> None:
    """Write the settings as the lab's list of faults has them, and start slurmctld anew with these."""
    slurm_files.write_conf(lab)
    slurm_daemons.stop(lab.head, "slurmctld")
    slurm_daemons.start_on(lab, lab.head)


def _name(fault: Fault) -> str:
    return f"{fault.kind}-{fault.node}"


SLURM_FAULTS = {
    "busy": FaultKind(
        "a job of somebody else has the node; of head, all nodes", _submit, _cancel, slurm=True
    ),
    "drained": FaultKind(
        f"somebody else has drained it: {_REASON}", _drain, _resume, slurm=True, on_head=False
    ),
    "maintenance": FaultKind("a reservation for maintenance", _reserve, _free, slurm=True, on_head=False),
    "mpi-default": FaultKind("MpiDefault=none", _configure, _configure, slurm=True, on_head=True),
    "not-operator": FaultKind(
        "the user has no rights in Slurm: SlurmUser=root", _configure, _configure, slurm=True, on_head=True
    ),
    "slurmctld-stopped": FaultKind(
        "slurmctld is gone", _stop_controller, _start_controller, slurm=True, on_head=True
    ),
    "slurmd-stopped": FaultKind(
        "slurmd and its jobs are gone: down", _stop_slurmd, _start_slurmd, slurm=True, on_head=False
    ),
    "urgent": FaultKind(
        "a job of somebody else in urgent takes it; of head, all nodes", _submit, _cancel, slurm=True
    ),
}
