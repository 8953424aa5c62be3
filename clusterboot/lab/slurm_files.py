"""The files of a lab's Slurm: slurm.conf and what goes with it, munge's key, and each machine's own folder.

The lab's user is ``SlurmUser``. An operator's rights need a database of accounts (``AdminLevel``,
sacctmgr(1)), but ``SlurmUser`` has them without one: slurm.conf(5).
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from . import machine
from .description import HEAD, PARTITION, Lab, LabNode
from .machine_files import make_folder, write_file

#: What a machine has of Slurm's for itself: logs, state, spool. It is in the lab's folder.
OWN = "/run/slurm"
#: The partition that takes nodes from the jobs of the other one.
URGENT = "urgent"

# In the lab's folder, and where all machines have it.
_SHARED = {"slurm": "/etc/slurm", "munge": "/etc/munge"}
_MUNGE_KEY_BYTES = 128

# The default of 10 s for an answer is short for 32 daemons on two busy CPUs. No control groups: a job's
# processes are found by their ancestors. ReturnToService: a node that comes back is idle again, why ever it
# was down.
_SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={head}
SlurmUser={slurm_user}
AuthType=auth/munge
StateSaveLocation={own}/ctl
SlurmdSpoolDir={own}/spool
SlurmctldPidFile={own}/ctl/slurmctld.pid
SlurmdPidFile={own}/slurmd.pid
SlurmctldLogFile={own}/ctl/slurmctld.log
SlurmdLogFile={own}/slurmd.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=pmix
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
ReturnToService=2
MessageTimeout=60
BatchStartTimeout=60
SlurmdParameters=config_overrides
{gres_types}NodeName={nodes} CPUs={cpus}{gres} State=UNKNOWN
PartitionName={partition} Nodes=ALL Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName={urgent} Nodes=ALL PriorityTier=10 MaxTime=INFINITE State=UP
"""


def slurm_conf(lab: Lab, cpus: int) -> str:
    """Write the slurm.conf of all machines.

    Parameters: the lab; how many CPUs each node has, of which there is at least one for each GPU.
    Source: slurm.conf(5) of 21.08 to 24.11; what is the default of all of these is not set.
    """
    count = len(lab.nodes)
    return _SLURM_CONF.format(
        name=lab.name,
        head=HEAD,
        slurm_user=lab.user,
        own=OWN,
        nodes="n1" if count == 1 else f"n[1-{count}]",
        cpus=max(cpus, lab.gpus),
        gres_types="GresTypes=gpu\n" if lab.gpus else "",
        gres=f" Gres=gpu:{lab.gpus}" if lab.gpus else "",
        partition=PARTITION,
        urgent=URGENT,
    )


def gres_conf(gpus: int) -> str:
    """Write the gres.conf of all machines: GPUs whose device files are links to another device's."""
    if not gpus:
        return ""
    return f"Name=gpu File={OWN}/gpu{'0' if gpus == 1 else f'[0-{gpus - 1}]'}\n"


def cgroup_conf(version: tuple[int, int]) -> str:
    """Write the cgroup.conf of all machines, which have no control groups.

    Parameters: Slurm's version. Source: cgroup.conf(5); ``disabled`` is of 24.05 and later. Of the two
    others, that for the first generation asks for nothing where nothing uses it.
    """
    return f"CgroupPlugin={'disabled' if version >= (24, 5) else 'cgroup/v1'}\n"


def slurm_version(said: str) -> tuple[int, int]:
    """Read ``slurm-wlm 22.05.8``, as each of Slurm's programs says with -V; 0.0 where it is not that."""
    found = re.search(r"\b(\d+)\.(\d+)\.\d+", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def binds(lab: Lab, node: LabNode) -> list[tuple[str, str]]:
    """Say which folders of the lab a machine has for Slurm, and where."""
    shared = [(str(lab.folder / name), target) for name, target in _SHARED.items()]
    return [*shared, (str(own_folder(lab, node)), OWN)]


def own_folder(lab: Lab, node: LabNode) -> Path:
    """Give the folder on this machine that a machine of the lab has as :data:`OWN`."""
    return lab.folder / node.name / "slurm"


def write_slurm(lab: Lab) -> None:
    """Write all files of a lab's Slurm. The lab's folder is there, and in it one of each machine."""
    shared = {name: make_folder(lab.folder / name) for name in _SHARED}
    write_file(shared["munge"] / "munge.key", secrets.token_bytes(_MUNGE_KEY_BYTES), 0o400)
    version = slurm_version(machine.run([machine.tool("slurmctld"), "-V"]).stdout)
    write_file(shared["slurm"] / "gres.conf", gres_conf(lab.gpus))
    write_file(shared["slurm"] / "cgroup.conf", cgroup_conf(version))
    write_file(shared["slurm"] / "slurm.conf", slurm_conf(lab, os.cpu_count() or 1))
    for node in lab.machines:
        own = make_folder(own_folder(lab, node))
        make_folder(own / ("ctl" if node.name == HEAD else "spool"))
        for number in range(0 if node.name == HEAD else lab.gpus):
            (own / f"gpu{number}").symlink_to("/dev/null")
