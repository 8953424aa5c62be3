"""A lab's life: up, down, and how it is."""

from __future__ import annotations

import json
import select
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from clusterboot import units
from clusterboot.errors import ClusterbootError, UsageError

from . import machine, machine_files, process, slurm_daemons, slurm_files, store, wiring
from .description import (
    HEAD,
    MAX_NODES,
    ROOT,
    SWITCH,
    USER,
    Lab,
    LabNode,
    LabStatus,
    NodeStatus,
    Process,
    new_lab,
    with_processes,
)
from .enter import in_network, ip

_STARTED_WITHIN_S = 600.0
_MIN_RATE_BPS = 1_000_000
_MAX_GPUS = 64


class _Kind(NamedTuple):
    """What a lab is, beside its size."""

    shared_home: bool
    user: str
    slurm: bool
    gpus: int


def up(
    name: str = "lab",
    nodes: int = 8,
    rate: str = "1gbit",
    shared_home: bool = False,
    user: str = USER,
    *,
    slurm: bool = False,
    gpus: int = 0,
) -> Lab:
    """Start a virtual cluster: a head and ``nodes`` compute nodes ``n1`` to ``nN``, ready for use.

    Parameters: ``rate`` is that of each node's link, both ways, in tc's words; ``shared_home`` gives all
    nodes one home (the head keeps its own); ``user`` is who logs in, ``ubuntu`` or
    ``root``; with ``slurm`` a real Slurm has the nodes, whose sshd refuses that user, and ``gpus``
    GPUs each that are none. A lab that runs as asked for is left as it is
    (``already_running``); one of which a part is gone is started anew.
    Errors: ``UsageError`` for a bad parameter, a machine that cannot run it or keep it apart from itself,
    or a running lab with other parameters; ``ClusterbootError`` where starting failed. Nothing is left of a
    failed start.
    """
    folder = store.folder(name)
    if not 1 <= nodes <= MAX_NODES:
        raise UsageError(f"a lab of {nodes} nodes cannot be made", remedy=f"use 1 to {MAX_NODES}")
    if user not in (USER, ROOT):
        raise UsageError(f"a lab's machine has no user '{user}'", remedy=f"use {USER} or {ROOT}")
    if gpus and not slurm:
        raise UsageError("only a lab with Slurm has GPUs that are none", remedy="add --slurm")
    if not 0 <= gpus <= _MAX_GPUS:
        raise UsageError(f"a node with {gpus} GPUs cannot be made", remedy=f"use 0 to {_MAX_GPUS}")
    rate_bps = _rate_bps(rate)
    kind = _Kind(shared_home, user, slurm, gpus)
    machine.require(slurm=slurm)
    machine.require_isolation()
    with machine.lock():
        found = store.load(name)
        if found and is_whole(found):
            return _same(found, nodes, rate_bps, kind)
        _erase(name)
        lab = new_lab(name, folder, _free_index(), nodes, rate_bps, **kind._asdict())
        try:
            return _start(lab)
        except BaseException:
            _erase(name)
            raise


def down(name: str = "lab") -> bool:
    """Stop a lab and remove all of it: processes, namespaces, links and files.

    Returns: whether there was anything to remove; what is left of a half-dead lab is.
    """
    folder = store.folder(name)
    if not folder.exists():
        return False
    machine.require()
    with machine.lock():
        _erase(name)
    return True


def status(name: str | None = None) -> list[LabStatus]:
    """Say how each lab, or the one called ``name``, is doing; an unknown name gives an empty list."""
    wanted = store.names() if name is None else [name]
    return [_status(lab) for lab in map(store.load, wanted) if lab]


def running() -> list[str]:
    """Name the labs that run with all of their machines."""
    return [lab.name for lab in map(store.load, store.names()) if lab and is_whole(lab)]


def cluster_file(name: str = "lab") -> Path:
    """Give the cluster file of a running lab. Errors: ``UsageError`` where none of that name runs."""
    return find(name).cluster_file


def find(name: str) -> Lab:
    """Give the running lab called ``name``. Errors: ``UsageError`` where none of that name runs."""
    lab = store.load(name)
    if lab is None or not is_whole(lab):
        raise UsageError(f"no lab called '{name}' is running", remedy="start one with: invoke lab.up")
    return lab


def is_whole(lab: Lab) -> bool:
    """Say whether every machine of a lab, its switch and its link to the operator are there."""
    link = machine.has_link(lab.link)
    return link and process.alive(lab.switch) and all(process.alive(m.init) for m in lab.machines)


def _rate_bps(rate: str) -> int:
    try:
        rate_bps = units.parse_rate(rate)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if rate_bps < _MIN_RATE_BPS:
        raise UsageError(f"{rate} is too slow for a lab to work", remedy="use 1mbit or more")
    return rate_bps


def _same(lab: Lab, nodes: int, rate_bps: int, kind: _Kind) -> Lab:
    own = _Kind(lab.shared_home, lab.user, lab.slurm, lab.gpus)
    if (len(lab.nodes), lab.rate_bps, own) != (nodes, rate_bps, kind):
        home = ", one home for all" if lab.shared_home else ""
        who = f", logged in to as {lab.user}" if lab.user != USER else ""
        gpus = f" and {lab.gpus} GPUs a node" if lab.gpus else ""
        engine = f", with Slurm{gpus}" if lab.slurm else ""
        raise UsageError(
            f"the lab '{lab.name}' is running with other parameters:"
            f" {len(lab.nodes)} nodes at {lab.rate_bps / 1e6:g}mbit{home}{who}{engine}",
            remedy="take it down first with: invoke lab.down",
        )
    return replace(lab, already_running=True)


def _free_index() -> int:
    taken = [lab.index for lab in map(store.load, store.names()) if lab]
    index = wiring.free_index(taken, machine.routes())
    if index is None:
        raise UsageError(
            "no subnet of 198.19.0.0/18 is free for the link to the lab's head",
            remedy="take other labs down, or the routes to it",
        )
    return index


def _start(lab: Lab) -> Lab:
    store.create(lab)
    machine_files.write_all(lab, machine.owner())
    if lab.slurm:
        slurm_files.write_slurm(lab)
    _ip(wiring.claim_lines(lab))
    no_ipv6 = Path("/proc/sys/net/ipv6/conf", lab.link, "disable_ipv6")
    if no_ipv6.exists():
        no_ipv6.write_text("1", encoding="ascii")  # One connected route is all that this machine sees.
    # A session of its own: Ctrl-C comes to this process alone, which then ends that one in order.
    with subprocess.Popen(
        machine.SPAWNER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as spawner:
        try:
            lab = _direct(lab, spawner)
        finally:
            spawner.kill()
    if lab.slurm:
        slurm_daemons.start_all(lab)
    return lab


def _direct(lab: Lab, spawner: subprocess.Popen[str]) -> Lab:
    """Have the machines made, record them, join them with links, and let them start."""
    _say(spawner, json.dumps(_order(lab)))
    switch, *inits = _identify(_hear(spawner)["pids"])
    lab = with_processes(lab, switch, tuple(inits))
    store.save(lab)
    ip(switch, wiring.switch_lines(lab))
    shapes = [line for m in lab.machines for line in wiring.in_shape(lab, m)]
    in_network(switch, ["tc", "-batch", "-"], shapes)
    _ip(wiring.hand_over_lines(lab))
    _say(spawner, "go")
    _hear(spawner)
    return lab


def _ip(lines: list[str]) -> None:
    machine.run([machine.tool("ip"), "-batch", "-"], "".join(f"{line}\n" for line in lines))


def _identify(pids: list[int]) -> list[Process]:
    found = [process.identify(pid) for pid in pids]
    if any(one is None for one in found):
        raise ClusterbootError("a machine of the lab ended while it was being started")
    return [one for one in found if one]


def _order(lab: Lab) -> dict[str, Any]:
    # What comes back from a shared uplink does so on another port than the one to its sender.
    loose = {f"net/ipv4/conf/{name}/rp_filter": "0" for name in ("all", "default")}
    switch = {"hostname": SWITCH, "sysctl": {"net/ipv4/ip_forward": "1", **loose}}
    return {
        "hide": str(lab.folder.parent),
        "machines": [switch, *(_machine_order(lab, m) for m in lab.machines)],
        "tools": {name: machine.tool(name) for name in ("ip", "tc", "sshd", "sleep")},
    }


def _machine_order(lab: Lab, node: LabNode) -> dict[str, Any]:
    own = lab.folder / node.name / "etc"
    lines = wiring.node_lines(lab, node)
    if node.name == HEAD:
        lines += wiring.head_outside_lines(lab)
    return {
        "hostname": node.name,
        # Else a slow link that was mended goes on being slow: the kernel remembers it, tcp_metrics(8).
        "sysctl": {"net/ipv4/tcp_no_metrics_save": "1"},
        "etc": [str(own), str(lab.folder / "etc")],
        "binds": [
            (str(own / "ssh"), "/etc/ssh"),
            (str(lab.home(node.name)), lab.home_inside),
            *(slurm_files.binds(lab, node) if lab.slurm else ()),
        ],
        # slurmd looks for control groups, of which a machine of the lab has none.
        "tmpfs": ["/sys/fs/cgroup"] if lab.slurm else [],
        "ip": "\n".join(lines) + "\n",
        "tc": "\n".join(wiring.out_shape(lab, node)) + "\n",
    }


def _say(spawner: subprocess.Popen[str], line: str) -> None:
    assert spawner.stdin  # noqa: S101 - it was opened with a pipe
    spawner.stdin.write(line + "\n")
    spawner.stdin.flush()


def _hear(spawner: subprocess.Popen[str]) -> dict[str, Any]:
    assert spawner.stdout  # noqa: S101 - it was opened with a pipe
    if not select.select([spawner.stdout], [], [], _STARTED_WITHIN_S)[0]:
        raise ClusterbootError(f"the lab did not start within {_STARTED_WITHIN_S:g} s")
    line = spawner.stdout.readline()
    if not line:
        raise ClusterbootError("the program that starts the lab's machines ended early")
    answer: dict[str, Any] = json.loads(line)
    if answer["failed"]:
        more = f" (and {len(answer['failed']) - 1} more)" if len(answer["failed"]) > 1 else ""
        raise ClusterbootError(f"the lab could not be started: {answer['failed'][0]}{more}")
    return answer


def _erase(name: str) -> None:
    """Remove whatever there is of a lab; what is not there does not matter."""
    lab = store.load(name)
    if lab:
        process.kill(m.init for m in lab.machines if m.init)
        process.kill([lab.switch] if lab.switch else [])
        _unlink(lab.link)
    store.delete(name)


def _unlink(link: str) -> None:
    """Remove the link to the head, unless it goes by itself just now, with the head's namespace."""
    try:
        if machine.has_link(link):
            _ip([f"link del {link}"])
    except ClusterbootError:
        if machine.has_link(link):
            raise


def _status(lab: Lab) -> LabStatus:
    of = {
        name: tuple(f.text for f in lab.faults if f.node == name)
        for name in (*(m.name for m in lab.machines), SWITCH)
    }
    machines = [NodeStatus(m.name, m.address, process.alive(m.init), of[m.name]) for m in lab.machines]
    if of[SWITCH]:
        machines.append(NodeStatus(SWITCH, str(lab.network[-2]), process.alive(lab.switch), of[SWITCH]))
    return LabStatus(
        name=lab.name,
        state="running" if is_whole(lab) else "broken",
        cluster_file=lab.cluster_file,
        rate_bit_s=lab.rate_bps,
        shared_home=lab.shared_home,
        head_address=str(lab.head_address),
        network=str(lab.network),
        machines=tuple(machines),
    )
