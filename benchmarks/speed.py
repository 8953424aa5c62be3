"""How fast the pass over all nodes is, beside plain OpenSSH and the peers, on a lab.

    sudo .venv/bin/python benchmarks/speed.py --nodes 64,256

Everything runs in one go on one lab after the other, each contender cold, as a process of its
own. What is printed and kept are ratios to plain OpenSSH on the same lab: bare seconds say more
about the machine than about the tools. Writes speed.json, and of it speed.md and speed.svg, beside
this file. The peers are measured, the profile made and the report written where ``python -m venv
benchmarks/.venv`` and ``benchmarks/.venv/bin/pip install -r benchmarks/requirements.txt`` were done.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from profile_pass import profile

import clusterboot
from clusterboot import lab as labs

HERE = Path(__file__).parent
PEERS = HERE / ".venv/bin"
CHEAP = "curve25519-sha256"


@dataclass(frozen=True)
class Measured:
    """One contender on one lab: wall time and its own CPU time in seconds, largest process in MiB.

    ``machine_s`` is the CPU time of the whole machine meanwhile, the lab's nodes among it.
    """

    nodes: int
    name: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    machine_s: float = 0.0
    ratio: float = 0.0


def measure(nodes: int, name: str, argv: list[str], folder: Path, **env: str) -> Measured:
    """Run a contender to its end and see what it took; it must succeed."""
    before, machine_s = time.monotonic(), machine_cpu_s()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            argv, cwd=folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - before
        out.seek(0)
        if status:
            raise SystemExit(f"{name} failed on {nodes} nodes:\n{out.read().decode()[-2000:]}")
    process.returncode = 0
    cpu_s = usage.ru_utime + usage.ru_stime
    return Measured(nodes, name, wall_s, cpu_s, usage.ru_maxrss / 1024, machine_cpu_s() - machine_s)


def machine_cpu_s() -> float:
    """Give the seconds that all of the machine's processors have worked since it started.

    Source: proc(5), /proc/stat: user, nice, system, then idle and iowait, then irq and softirq.
    """
    ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split()[1:8]]
    return float(sum(ticks[:3]) + sum(ticks[5:7])) / os.sysconf("SC_CLK_TCK")


def ssh_config(lab: labs.Lab, folder: Path) -> Path:
    """Write what plain ssh needs: one shared connection to the head, nodes through it."""
    control = folder / "control"
    path = folder / "ssh_config"
    path.write_text(
        f"Host *\n  User ubuntu\n  UserKnownHostsFile {lab.folder}/known_hosts\n"
        "  GlobalKnownHostsFile /dev/null\n"
        f"  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n  KexAlgorithms {CHEAP}\n  LogLevel ERROR\n"
        f"Host {lab.head_address}\n  IdentityFile {lab.folder}/head_key\n  ControlPath {control}\n"
        f"Host n*\n  IdentityFile {lab.folder}/node_key\n"
        f"  ProxyCommand ssh -F {path} -W %h:%p {lab.head_address}\n",
        encoding="utf-8",
    )
    return path


def raw_pass(lab: labs.Lab, folder: Path) -> Measured:
    """Plain OpenSSH: one ControlMaster to the head, 32 ssh at a time, ``true`` on each node."""
    config = ssh_config(lab, folder)
    names = " ".join(node.name for node in lab.nodes)
    script = (
        f"ssh -F {config} -o ControlMaster=yes -N -f {lab.head_address} && "
        f"printf '%s\\n' {names} | xargs -P32 -I@ ssh -F {config} @ true; "
        f"code=$?; ssh -F {config} -O exit {lab.head_address} 2>/dev/null; exit $code"
    )
    return measure(len(lab.nodes), "OpenSSH", ["sh", "-c", script], folder)


def ours(lab: labs.Lab, folder: Path, name: str, *args: str) -> Measured:
    argv = [sys.executable, "-m", "clusterboot", args[0], "--cluster", str(lab.cluster_file), *args[1:]]
    return measure(len(lab.nodes), name, argv, folder, XDG_STATE_HOME=str(folder / "state"))


def own_pass(lab: labs.Lab, folder: Path) -> Measured:
    """Measure the pass alone, in a program that has started already."""
    argv = [sys.executable, str(HERE / "own_pass.py"), str(lab.cluster_file)]
    done = subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return Measured(len(lab.nodes), "pass, started already", found["wall_s"], found["cpu_s"], 0.0)


def where_it_goes(lab: labs.Lab, folder: Path) -> list[tuple[str, float]]:
    argv = [sys.executable, "-m", "clusterboot", "run", "--cluster", str(lab.cluster_file), "true"]
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    return profile(argv, PEERS / "py-spy", folder, env) if PEERS.exists() else []


def peers(lab: labs.Lab, folder: Path, largest_playbook: int) -> Iterator[Measured]:
    """Measure the peers that are installed: the pass of one command, and Ansible's bootstrap."""
    count, names = len(lab.nodes), [node.name for node in lab.nodes]
    if not PEERS.exists():
        return
    config = ssh_config(lab, folder)
    way = [
        str(lab.head_address),
        f"{lab.folder}/head_key",
        "ubuntu",
        f"{lab.folder}/node_key",
        "true",
        *names,
    ]
    python = str(PEERS / "python")
    yield measure(count, "Fabric ThreadingGroup", [python, str(HERE / "peers/fabric_group.py"), *way], folder)
    known = str(lab.folder / "known_hosts")
    yield measure(count, "asyncssh", [python, str(HERE / "peers/asyncssh_pass.py"), known, *way], folder)
    with control_master(config, lab):
        options = f"-F {config}"
        shell = [str(PEERS / "clush"), "-f", "32", "-o", options, "-w", ",".join(names), "true"]
        yield measure(count, "ClusterShell", shell, folder)
        inventory = folder / "hosts"
        inventory.write_text("\n".join(names) + "\n", encoding="utf-8")
        ansible = {"ANSIBLE_SSH_ARGS": options, "ANSIBLE_HOST_KEY_CHECKING": "True", "ANSIBLE_FORKS": "32"}
        common = ["-i", str(inventory), "-u", "ubuntu"]
        raw = [str(PEERS / "ansible"), *common, "all", "-m", "raw", "-a", "true"]
        yield measure(count, "Ansible raw", raw, folder, **ansible)
        pyinfra = [
            *(str(PEERS / "pyinfra"), "-y", "--parallel", "32", "--ssh-user", "ubuntu"),
            *("--data", f"ssh_config_file={config}", "--data", f"ssh_known_hosts_file={known}"),
            *(",".join(names), "exec", "--", "true"),
        ]
        try:
            yield measure(count, "pyinfra", pyinfra, folder)
        except SystemExit as problem:
            print(f"left out: {problem}", file=sys.stderr)
        if count > largest_playbook:
            return
        book = [str(PEERS / "ansible-playbook"), *common, str(HERE / "peers/bootstrap.yml")]
        yield measure(count, "Ansible playbook", book, folder, **ansible)


@contextmanager
def control_master(config: Path, lab: labs.Lab) -> Iterator[None]:
    head = str(lab.head_address)
    subprocess.run(["ssh", "-F", config, "-o", "ControlMaster=yes", "-N", "-f", head], check=True)
    try:
        yield
    finally:
        subprocess.run(["ssh", "-F", config, "-O", "exit", head], check=False, capture_output=True)


def launches(lab: labs.Lab) -> dict[str, float]:
    """Time ``mpirun hostname`` over all nodes with OpenSSH's own key exchange and with the cheap one."""
    hostfile = "\n".join(f"{node.address} slots=1" for node in lab.nodes)
    first = lab.nodes[0].name
    plain = "-o KexAlgorithms=sntrup761x25519-sha512@openssh.com"
    found = {}
    for name, agent in (("OpenSSH's order", f"ssh {plain}"), ("cheap exchange", "ssh")):
        script = (
            f"cd; printf '{hostfile}\\n' >.bench-hostfile; "
            f"mpirun --hostfile .bench-hostfile -np {len(lab.nodes)} "
            f"--map-by ppr:1:node --mca plm_rsh_agent '{agent}' --mca oob_tcp_if_include {lab.network} "
            "hostname | sort -u | wc -l; rm .bench-hostfile"
        )
        before = time.monotonic()
        done = labs.node_exec(lab.name, first, ["sh", "-c", script], user="ubuntu", timeout_s=300)
        found[name] = time.monotonic() - before
        if done.stdout.strip() != str(len(lab.nodes)):
            raise SystemExit(
                f"mpirun reached {done.stdout.strip()} of {len(lab.nodes)} nodes: {done.stderr[-500:]}"
            )
    return found


def one_lab(
    count: int, *, with_peers: bool, largest_playbook: int
) -> tuple[list[Measured], dict[str, float], list[tuple[str, float]]]:
    name = f"speed-{os.getpid()}"
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        lab = labs.up(name, nodes=count)
        try:
            found = [raw_pass(lab, folder), ours(lab, folder, "pass", "run", "true")]
            found += [ours(lab, folder, "first bootstrap", "bootstrap")]
            found += [ours(lab, folder, "second bootstrap", "bootstrap")]
            found += [ours(lab, folder, "second bootstrap, nothing proven", "bootstrap", "--verify", "none")]
            found += [ours(lab, folder, "facts", "facts")]
            launched = launches(lab)
            found += [raw_pass(lab, folder), ours(lab, folder, "pass", "run", "true"), own_pass(lab, folder)]
            spent = where_it_goes(lab, folder)
            if with_peers:
                found += peers(lab, folder, largest_playbook)
        finally:
            labs.down(name)
    raw_s = min(each.wall_s for each in found if each.name == "OpenSSH")
    return [Measured(**{**asdict(each), "ratio": each.wall_s / raw_s}) for each in found], launched, spent


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", default="64,256")
    parser.add_argument("--no-peers", action="store_true")
    # It takes minutes at 64 nodes, and four times as much at twice as many.
    parser.add_argument("--largest-playbook", type=int, default=64, help="nodes of the largest lab for it")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    # As pip leaves the peers, and us where it does not install from an editable tree.
    compileall.compile_dir(Path(clusterboot.__file__).parent, quiet=1)
    measured: list[Measured] = []
    launched: dict[int, dict[str, float]] = {}
    profiles: list[list[tuple[str, float]]] = []
    written = options.out / "speed.json"
    for count in map(int, options.nodes.split(",")):
        found, launched[count], spent = one_lab(
            count, with_peers=not options.no_peers, largest_playbook=options.largest_playbook
        )
        measured += found
        profiles.append(spent)
        kept = {
            "cpus": os.cpu_count(),
            "measured": [asdict(each) for each in measured],
            "mpirun_hostname_s": launched,
            "profile": profiles[0],
        }
        # After each size, since the next may take long.
        written.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if PEERS.exists():
        subprocess.run([str(PEERS / "python"), str(HERE / "speed_report.py"), str(written)], check=True)


if __name__ == "__main__":
    main()
