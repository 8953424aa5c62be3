"""The whole way on a machine with a GPU, in one go: lab, bootstrap, mpirun, NCCL, link map.

``python benchmarks/gpu.py`` as root. It needs an NVIDIA driver, ``libnccl.so.2`` and
``libcudart.so``: the system's, or the wheels ``nvidia-nccl-cu12`` and ``nvidia-cuda-runtime-cu12`` (or
``-cu13``'s) in the Python that runs this, or in ``--wheels FOLDER`` (made with ``pip install --target``).
A lab's nodes share this machine's kernel and files, so they see its GPUs without more: /dev/nvidia*
through the shared /dev, /proc/driver/nvidia through a proc of their own, the driver's libraries
below /usr; /dev/shm and /tmp are each node's own. Only libraries below /home, /root and /tmp are out
of their sight, and are linked into a folder that they see.

On one GPU all ranks share it, over sockets: a test of the way, no measure of bandwidth. On several
a node has them all and its bandwidth is measured too. Figures go to ``gpu.json`` and ``gpu.md``.
Without a GPU it says so and ends with status 3; nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from clusterboot import lab as labs

NO_GPU = 3
DTYPES = ("float", "half", "bfloat16", "int32")
COLLECTIVES = "all_reduce,all_gather,reduce_scatter,broadcast,reduce,alltoall,sendrecv"
_LIBRARIES = {
    "nccl/lib": ("libnccl.so.2",),
    "cuda_runtime/lib": ("libcudart.so.12", "libcudart.so.11.0"),
    "cu13/lib": ("libcudart.so.13",),
}


def gpus() -> list[str]:
    """List this machine's GPUs, as ``nvidia-smi -L`` names them; none without a driver that works."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return []
    done = subprocess.run([smi, "-L"], capture_output=True, text=True, check=False, timeout=60)
    return (
        [line for line in done.stdout.splitlines() if line.startswith("GPU ")] if not done.returncode else []
    )


def wheel_folders(given: str | None) -> list[Path]:
    """List the folders with NCCL's and CUDA's libraries among this Python's packages."""
    roots = [Path(given)] if given else [Path(path) for path in (*site.getsitepackages(), *sys.path) if path]
    found = [root / "nvidia" / place for root in roots for place in _LIBRARIES]
    return list(dict.fromkeys(path.resolve() for path in found if path.is_dir()))


def link_libraries(folders: list[Path], into: Path) -> list[str]:
    """Put the libraries where a lab's nodes can read them; give the folders as the nodes see them."""
    for folder in folders:
        for names in _LIBRARIES.values():
            for name in names:
                if (folder / name).exists() and not (into / name).exists():
                    _link(folder / name, into / name)
    return [str(into)] if any(into.iterdir()) else []


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)


class Operator:
    """clusterboot's own command line, with a home of its own."""

    def __init__(self, home: Path, cluster: Path) -> None:
        self.home = home
        self.cluster = cluster

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command on the lab; give its document, with ``wall_s`` beside it."""
        env = {**os.environ, "HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state")}
        command = [sys.executable, "-m", "clusterboot", *words, "--cluster", str(self.cluster), "--json"]
        print(f"  {' '.join(words)}", file=sys.stderr)
        start_s = time.monotonic()
        done = subprocess.run(command, cwd=self.home, env=env, stdout=subprocess.PIPE, text=True, check=False)
        try:
            document: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise SystemExit(f"{words[0]} gave no document, exit status {done.returncode}") from None
        document["wall_s"] = round(time.monotonic() - start_s, 2)
        return document


@contextmanager
def lab_of(nodes: int, folders: list[str], work: Path) -> Iterator[Operator]:
    """Give an operator of a bootstrapped lab, and take the lab away afterwards."""
    name = f"gpu-{os.getpid()}-{nodes}"
    home = work / f"operator-{nodes}"
    home.mkdir()
    try:
        lab = labs.up(name, nodes=nodes, rate="10gbit")
        document = yaml.safe_load(Path(lab.cluster_file).read_text(encoding="utf-8"))
        document.setdefault("clusterboot", {})["nccl"] = {"lib_dirs": folders} if folders else {}
        cluster = home / "cluster.yaml"
        cluster.write_text(yaml.safe_dump(document), encoding="utf-8")
        operator = Operator(home, cluster)
        said = operator.run("bootstrap")
        if said["exit_code"]:
            raise SystemExit(f"bootstrap ended with {said['exit_code']}: {said['hosts']}")
        yield operator
    finally:
        labs.down(name)


def collectives(operator: Operator, *more: str) -> list[dict[str, Any]]:
    """Run every collective in every type; one line of figures for each."""
    lines = []
    for dtype in DTYPES:
        said = operator.run(
            "nccl-test", "--backend", "nccl", "--collective", COLLECTIVES, "--dtype", dtype, *more
        )
        # A run that failed has to be seen in the figures too.
        lines.append({"dtype": dtype, **_outcome(said)})
    return lines


def _outcome(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "verdict": said.get("verdict"),
        "reason": said.get("reason") or _told(said),
        "what": said.get("what"),
        "shares_gpus": said.get("shares_gpus"),
        "wall_s": said["wall_s"],
        "problems": [problem.get("text") for problem in said.get("problems", ())],
        "tests": [
            {
                "collective": test["collective"],
                "library": test.get("library"),
                "ranks": len(test["ranks"]),
                "rows": len(test["rows"]),
                "wrong": test["out_of_bounds"],
                "peak_busbw_gb_s": test["peak_busbw_gb_s"],
                "peak_size_bytes": test["peak_size_bytes"],
                "verdict": test["verdict"],
            }
            for test in said.get("tests", ())
        ],
    }


def _told(said: Mapping[str, Any]) -> str | None:
    """Give the cause of a command that did not come as far as a verdict."""
    error = said.get("error")
    return error.get("cause") if isinstance(error, dict) else error


def _mapped(said: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("verdict", "what", "nodes", "bandwidth_gb_s", "latency_us", "findings", "wall_s", "shares_gpus")
    return {"reason": _told(said), **{key: said.get(key) for key in kept}}


def measure(nodes: int, found: list[str], folders: list[str], work: Path) -> dict[str, Any]:
    """Go the whole way: one lab whose nodes share the GPUs, and where there are several one node alone."""
    figures: dict[str, Any] = {"gpus": found, "machine": platform.node(), "kernel": platform.release()}
    figures["date"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sharing = ("--share-gpu", "--procs-per-node", "1")
    with lab_of(nodes, folders, work) as operator:
        figures["shared"] = collectives(operator, *sharing, "-b", "1K", "-e", "16M", "-f", "4")
        figures["shared_map"] = _mapped(operator.run("link-map", "--backend", "nccl", "--share-gpu"))
    if len(found) > 1:
        with lab_of(1, folders, work) as operator:
            figures["alone"] = collectives(operator, "-b", "1M", "-e", "1G", "-f", "4")
            figures["alone_map"] = _mapped(operator.run("link-map", "--backend", "nccl", "--by", "gpu"))
    return figures


def table(figures: Mapping[str, Any]) -> str:
    """Write the figures for people."""
    lines = [
        "# NCCL on a GPU, by benchmarks/gpu.py",
        "",
        f"{figures['date']}, kernel {figures['kernel']}",
        "",
    ]
    lines += [f"- {gpu}" for gpu in figures["gpus"]]
    for part, title in (
        ("shared", "Ranks of several nodes share the GPUs, over sockets: no measure of bandwidth"),
        ("alone", "One node with all its GPUs"),
    ):
        if part not in figures:
            continue
        lines += [
            "",
            f"## {title}",
            "",
            "| type | collective | ranks | rows | wrong | peak busbw, GB/s | verdict |",
        ]
        lines.append("| --- | --- | --- | --- | --- | --- | --- |")
        for run in figures[part]:
            for test in run["tests"]:
                peak = "not measured" if part == "shared" else f"{test['peak_busbw_gb_s']:.4g}"
                cells = (run["dtype"], test["collective"], test["ranks"], test["rows"], test["wrong"], peak)
                lines.append("| " + " | ".join(map(str, (*cells, test["verdict"]))) + " |")
            if not run["tests"]:
                lines.append(f"| {run['dtype']} | none | | | | | {run['reason']} |")
        mapped = figures[f"{part}_map"]
        lines += ["", f"Link map: {mapped['what'] or mapped['reason']}; verdict {mapped['verdict']}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Read the options and measure. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--nodes", type=int, default=4, help="nodes of the lab whose ranks share the GPUs (4)"
    )
    parser.add_argument("--wheels", help="a folder with the wheels unpacked (default: this Python's own)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the figures go")
    asked = parser.parse_args()
    found = gpus()
    if not found:
        print("no NVIDIA GPU can be used here (nvidia-smi lists none): nothing was measured", file=sys.stderr)
        return NO_GPU
    if (reason := labs.obstacle()) is not None:
        print(f"no lab can run here: {reason}", file=sys.stderr)
        return NO_GPU
    # Below /var/lib the nodes see it; a lab's own folder they do not.
    with tempfile.TemporaryDirectory(prefix="clusterboot-gpu-", dir="/var/lib") as libraries:
        Path(libraries).chmod(0o755)
        folders = link_libraries(wheel_folders(asked.wheels), Path(libraries))
        with tempfile.TemporaryDirectory(prefix="clusterboot-gpu-") as work:
            figures = measure(asked.nodes, found, folders, Path(work))
    (asked.out / "gpu.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (asked.out / "gpu.md").write_text(table(figures), encoding="utf-8")
    print(table(figures))
    runs = [*figures["shared"], *figures.get("alone", ())]
    return 0 if all(run["verdict"] == "ok" for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
