from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pairs_log import parse_pairs

from clusterboot import lab as labs
from clusterboot.linkmap.inference.schedule import MOST_LOOKS
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.alone]

# A rate at which the links, and not this machine's cores, are what limits.
RATE = "100mbit"
LINE_GB_S = 0.0125
NAMES = ["n1", "n2", "n3", "n4"]


@pytest.fixture(scope="module")
def four(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=4, rate=RATE)


@pytest.fixture(scope="module")
def user(four: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    operator = Operator(tmp_path_factory.mktemp("operator"))
    operator.document("bootstrap", "--cluster", str(four.cluster_file))
    return operator


def link_map(user: Operator, lab: labs.Lab, *words: str, expect: int = 0) -> dict[str, Any]:
    return user.document("link-map", "--cluster", str(lab.cluster_file), *words, expect=expect)


def measured(rows: list[list[float | None]]) -> set[tuple[str, str]]:
    return {
        (NAMES[at], NAMES[to])
        for at, row in enumerate(rows)
        for to, cell in enumerate(row)
        if cell is not None
    }


def pairs_of_first_launch(log: Path) -> set[tuple[str, str]]:
    """Give the pairs of the launch that makes the planned rounds; what follows it looks again."""
    head = b"# All pairs test starting"
    before, _, rest = log.read_bytes().partition(head)
    said = parse_pairs(before + head + rest.split(head)[0])
    host = {node.node: str(node.host) for node in said.nodes}
    return {(host[row.sender], host[row.receiver]) for row in said.rows}


def test_a_sound_cluster_is_measured_in_three_rounds_and_nothing_is_blamed(
    four: labs.Lab, user: Operator
) -> None:
    said = link_map(user, four, "--mode", "full")
    assert (said["verdict"], said["findings"], said["rounds"]) == ("ok", [], 3)
    # What was held up for a moment, as happens on a shared machine, is looked at again.
    assert said["launches"] <= 1 + MOST_LOOKS
    assert said["nodes"] == NAMES
    assert len(measured(said["bandwidth_gb_s"])) == len(measured(said["latency_us"])) == 12
    for row in said["bandwidth_gb_s"]:
        # A machine with other work makes a link slower, and nothing makes it faster than the line.
        assert all(0.6 * LINE_GB_S < cell < 1.05 * LINE_GB_S for cell in row if cell is not None)
    assert said["cost"]["pairs"] >= 6
    folder = Path(said["folder"])
    assert json.loads((folder / "result.json").read_text())["verdict"] == "ok"
    assert "All pairs test starting: 4 nodes" in (folder / "run.log").read_text()
    good = user.folder / "hostfiles" / four.name / "openmpi-good"
    assert good.read_text() == (good.parent / "openmpi").read_text()


def test_a_slow_node_is_named_and_left_out_of_the_good_hostfile(four: labs.Lab, user: Operator) -> None:
    labs.break_node(four.name, "n3", "slow-nic")
    try:
        said = link_map(user, four, expect=6)
    finally:
        labs.mend(four.name, "n3")
    (finding,) = said["findings"]
    assert (said["verdict"], finding["kind"], finding["hosts"]) == ("slow", "node", ["n3"])
    assert finding["direction"] == "both"
    assert finding["fraction_of_expected"] == pytest.approx(0.1, abs=0.06)
    good = (user.folder / "hostfiles" / four.name / "mpich-good").read_text()
    address = {node.name: node.address for node in four.nodes}
    assert good == "".join(f"{address[name]}:1\n" for name in ("n1", "n2", "n4"))


def test_a_dead_pair_is_a_dead_link_even_where_the_launch_would_have_used_it(
    four: labs.Lab, user: Operator
) -> None:
    labs.break_node(four.name, "n1", "dead-pair:n3")
    try:
        said = link_map(user, four, "--mode", "full", expect=6)
    finally:
        labs.mend(four.name, "n1")
    dead = [finding for finding in said["findings"] if finding["fraction_of_expected"] == 0]
    assert [(each["kind"], sorted(each["hosts"])) for each in dead] == [("link", ["n1", "n3"])]
    assert said["bandwidth_gb_s"][0][2] == said["bandwidth_gb_s"][2][0] == 0
    assert len(measured(said["bandwidth_gb_s"])) == 12
    assert said["launch_host"] == "n2"
    assert {host["status"] for host in said["hosts"]} == {"ok"}


def test_a_killed_map_keeps_its_rounds_and_is_resumed_without_measuring_them_again(
    four: labs.Lab, user: Operator
) -> None:
    words = ["link-map", "--cluster", str(four.cluster_file), "--mode", "full"]
    # What was told of is kept.
    with user.halted(*words, line="round 1 of") as process:
        process.kill()
    killed = max((user.folder / "results" / four.name).iterdir(), key=lambda path: path.stat().st_mtime)
    kept = json.loads((killed / "result.json").read_text())
    before = measured(kept["bandwidth_gb_s"])
    assert 4 <= len(before) < 12
    assert kept["verdict"] == "inconclusive"

    said = link_map(user, four, "--mode", "full", "--resume", str(killed / "result.json"))
    assert not pairs_of_first_launch(Path(said["folder"]) / "run.log") & before
    assert len(measured(said["bandwidth_gb_s"])) == 12
    assert said["verdict"] == "ok"
    assert 2 <= said["launches"] <= 2 + MOST_LOOKS

    again = link_map(user, four, "--mode", "full", "--resume", str(said["folder"]))
    assert again["bandwidth_gb_s"] == said["bandwidth_gb_s"]
    assert again["launches"] == said["launches"]


def test_what_cannot_be_measured_is_refused_and_a_dry_run_launches_nothing(
    four: labs.Lab, user: Operator
) -> None:
    alone = user.run("link-map", "--cluster", str(four.cluster_file), "--hosts", "n1")
    assert (alone.returncode, "at least two nodes" in alone.stderr) == (2, True)
    done = user.run("link-map", "--cluster", str(four.cluster_file), "--budget", "1")
    assert done.returncode == 2
    assert "rounds do not fit" in done.stderr
    before = sorted((user.folder / "results").rglob("run.log"))
    said = link_map(user, four, "--dry-run")
    assert said["cost"]["rounds"] > 0
    assert sorted((user.folder / "results").rglob("run.log")) == before
