"""Whatever stands in a cluster file, or comes from a node, is data: none of it runs."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from clusterboot import lab as labs

pytestmark = pytest.mark.lab

# Each would leave the file CANARY behind, wherever it ran.
PAYLOADS = [
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY;",
    "x\ntouch CANARY\n",
    "'; touch CANARY; '",
    '"; touch CANARY; "',
    "| touch CANARY",
    "-oProxyCommand=touch CANARY",
    "%(touch CANARY)",
    "a b $(touch CANARY)",
    "\x1b]0;$(touch CANARY)\x07",
]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def canary() -> Path:
    return Path(f"/tmp/cb-{secrets.token_hex(4)}")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``clusterboot`` with a home of the test's own, and no terminal."""

    def clusterboot(*args: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
        argv = [sys.executable, "-m", "clusterboot", *args]
        return subprocess.run(
            argv, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    return clusterboot


def sung(lab: labs.Lab, canary: Path) -> list[str]:
    """Name the machines, this one among them, on which a payload ran."""
    found = ["operator"] if canary.exists() else []
    for m in lab.machines:
        if labs.node_exec(lab.name, m.name, ["test", "-e", str(canary)]).returncode == 0:
            found.append(m.name)
    return found


def fleet_file(lab: labs.Lab) -> dict[str, object]:
    document: dict[str, object] = yaml.safe_load(labs.cluster_file(lab.name).read_text())
    return document


PLACES: list[tuple[str, ...]] = [
    ("name",),
    ("ssh_config", "user"),
    ("ssh_config", "port"),
    ("ssh_config", "identity_file"),
    ("ssh_config", "hosts", "0"),
    ("ssh_config", "network"),
    ("ssh_config", "proxy_jump"),
    ("ssh_config", "proxy_jump", "hostname"),
    ("ssh_config", "proxy_jump", "user"),
    ("ssh_config", "proxy_jump", "identity_file"),
    ("clusterboot", "trust", "known_hosts"),
    ("clusterboot", "launch_from"),
    ("clusterboot", "kex_algorithms"),
    ("clusterboot", "mpi", "prefix"),
    ("clusterboot", "mpi", "module"),
    ("clusterboot", "nccl", "tests_dir"),
    ("clusterboot", "nccl", "ib_hca"),
]


def test_a_canary_would_be_seen(broken: labs.Lab, run: Run, canary: Path) -> None:
    run("run", "--cluster", str(labs.cluster_file(broken.name)), f"touch {canary}")

    assert sung(broken, canary) == ["n1", "n2", "n3"]


def hostile_files(lab: labs.Lab, canary: Path, folder: Path) -> list[Path]:
    """Write a cluster file for each payload in each place."""
    paths = []
    for place in PLACES:
        for number, payload in enumerate(PAYLOADS):
            document = fleet_file(lab)
            spot: object = document
            for key in place[:-1]:
                spot = spot.setdefault(key, {}) if isinstance(spot, dict) else spot[key]  # type: ignore[index]
            last: object = int(place[-1]) if place[-1].isdigit() else place[-1]
            spot[last] = payload.replace("CANARY", str(canary))  # type: ignore[index]
            paths.append(folder / f"{'.'.join(place)}-{number}.yaml")
            paths[-1].write_text(yaml.safe_dump(document))
    return paths


def test_nothing_in_a_cluster_file_runs(broken: labs.Lab, canary: Path, tmp_path: Path) -> None:
    paths = hostile_files(broken, canary, tmp_path)
    # All of them in one process: a start costs more than a cluster file.
    code = (
        "import sys\nfrom clusterboot.tasks import main\n"
        "for path in sys.argv[1:]:\n"
        "    sys.argv = ['clusterboot', 'run', 'true', '--cluster', path, '--deadline', '3', '--json']\n"
        "    try:\n        main()\n    except SystemExit as end:\n        print('END', end.code)\n"
    )
    env = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    ends = [line for line in done.stdout.splitlines() if line.startswith("END")]
    assert len(ends) == len(paths), done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert sung(broken, canary) == []


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch CANARY']",
        "!!python/object/new:os.system ['touch CANARY']",
        "!!python/object/apply:subprocess.check_output [['touch', 'CANARY']]",
        "!!python/name:os.system ''",
    ],
)
def test_no_yaml_tag_runs(broken: labs.Lab, run: Run, canary: Path, tmp_path: Path, tag: str) -> None:
    path = tmp_path / "tagged.yaml"
    path.write_text(
        labs.cluster_file(broken.name).read_text() + f"env:\n  A: {tag.replace('CANARY', str(canary))}\n"
    )

    done = run("run", "--cluster", str(path), "true")

    assert done.returncode == 2, done.stderr
    assert sung(broken, canary) == []


def test_nothing_that_a_node_says_runs(
    make_lab: Callable[..., labs.Lab], run: Run, canary: Path, tmp_path: Path
) -> None:
    lab = make_lab(nodes=2)
    words = [payload.replace("CANARY", str(canary)) for payload in PAYLOADS]
    says = "\n".join(words)
    # A node that lies: about its name, its system, in its start-up file and in its users' keys.
    labs.node_exec(lab.name, "n2", ["hostname", f"$(touch {canary})"])
    labs.node_exec(lab.name, "n2", ["rm", "-f", "/etc/os-release", "/etc/machine-id"])
    for path in ("/etc/os-release", "/etc/machine-id"):
        labs.node_exec(lab.name, "n2", ["tee", path], text=f'PRETTY_NAME="{words[0]}"\n{says}\n')
    home = labs.node_home(lab.name, "n2")
    (home / ".bashrc").write_text(f"cat <<'EOF'\n{says}\nEOF\n")
    with (home / ".ssh" / "authorized_keys").open("a") as file:
        file.write(says + "\n")
    with (home / ".ssh" / "config").open("w") as file:
        file.write("".join(f"# {line}\n" for line in says.splitlines()))

    cluster = ("--cluster", str(labs.cluster_file(lab.name)))
    for command in (["bootstrap"], ["facts", "--json"], ["run", f"cat <<'EOF'\n{says}\nEOF"], ["teardown"]):
        done = run(command[0], *cluster, *command[1:])
        assert "Traceback" not in done.stderr, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        if "--json" in command:
            json.loads(done.stdout)

    assert sung(lab, canary) == []


def test_no_value_of_the_environment_runs(
    make_lab: Callable[..., labs.Lab], run: Run, canary: Path, tmp_path: Path
) -> None:
    lab = make_lab(nodes=2)
    document = fleet_file(lab)
    hostile = f"$(touch {canary})`touch {canary}`;touch {canary}"
    document["clusterboot"]["mpi"] = {"args": ["--mca", "cb_nothing", hostile]}  # type: ignore[index]
    document["env"] = {f"V{i}": payload.replace("CANARY", str(canary)) for i, payload in enumerate(PAYLOADS)}
    path = tmp_path / "env.yaml"
    path.write_text(yaml.safe_dump(document))

    done = run(
        "nccl-test", "--cluster", str(path), "-b", "8", "-e", "8", "-n", "1", "-w", "0", "--deadline", "60"
    )

    assert "Traceback" not in done.stderr, done.stderr
    assert sung(lab, canary) == []
