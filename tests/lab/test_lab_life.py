"""A lab comes up whole, stays itself, and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterboot import lab as labs
from clusterboot.errors import ClusterbootError, UsageError
from clusterboot.lab import life, machine, machine_files, process, store, wiring

pytestmark = pytest.mark.lab

MakeLab = Callable[..., labs.Lab]


def traces(lab_root: str) -> dict[str, object]:
    """Everything on this machine that a lab could leave behind, but what other sessions come and go with."""
    links = json.loads(subprocess.check_output(["ip", "-json", "link"], text=True))
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "links": sorted(link["ifname"] for link in links if not link["ifname"].startswith("cb-")),
        "root": sorted(Path(lab_root).iterdir()) if Path(lab_root).exists() else None,
        "netns": sorted(Path("/run/netns").iterdir()) if Path("/run/netns").exists() else None,
    }


def test_nothing_is_left_behind(make_lab: MakeLab, lab_root: str) -> None:
    before = traces(lab_root)
    lab = make_lab(nodes=3)
    assert lab.switch
    for fault in ("flapping", "lossy:1", "bursty", "starved"):
        labs.break_node(lab.name, "n2", fault)
    inside = [found for found, _ in process.inside(lab.switch)]
    assert len(inside) == 3
    inside += [found for m in lab.machines if m.init for found, _ in process.inside(m.init)]
    inits = [m.init for m in lab.machines]
    link = lab.link
    assert len(inside) >= 4
    assert Path("/sys/class/net", link).exists()

    assert labs.down(lab.name) is True

    assert not any(process.alive(found) for found in [lab.switch, *inits, *inside])
    assert not Path("/sys/class/net", link).exists()
    assert not [r for r in machine.routes() if r.overlaps(lab.outside)]
    assert traces(lab_root) == before


def test_down_of_nothing_says_so(lab_root: str) -> None:
    assert labs.down("t-never-was") is False


def test_up_twice_is_one_lab(make_lab: MakeLab) -> None:
    first = make_lab(nodes=2)

    second = labs.up(first.name, nodes=2)

    assert second == replace(first, already_running=True)


@pytest.mark.parametrize("other", [{"nodes": 3}, {"rate": "2gbit"}, {"shared_home": True}])
def test_up_with_other_parameters_is_refused(make_lab: MakeLab, other: dict[str, Any]) -> None:
    lab = make_lab(nodes=2)

    with pytest.raises(UsageError, match="down first"):
        labs.up(lab.name, **{"nodes": 2, **other})

    assert lab.name in labs.running()


def test_two_labs_stand_side_by_side(make_lab: MakeLab) -> None:
    one, two = make_lab(nodes=1), make_lab(nodes=1)

    assert not one.outside.overlaps(two.outside)
    assert not one.network.overlaps(two.network)
    assert {one.name, two.name} <= set(labs.running())
    labs.down(one.name)
    assert one.name not in labs.running()
    assert labs.node_exec(two.name, "n1", ["hostname"]).stdout == "n1\n"


def test_labs_started_at_once_do_not_collide(lab_root: str) -> None:
    names = [f"t-{os.getpid()}-at-once-{number}" for number in range(3)]
    code = "import sys; from clusterboot import lab; lab.up(sys.argv[1], nodes=2)"
    try:
        started = [subprocess.Popen([sys.executable, "-c", code, name]) for name in names]
        assert [one.wait() for one in started] == [0, 0, 0]
        assert len({labs.find(name).outside for name in names}) == 3
        assert set(names) <= set(labs.running())
    finally:
        for name in names:
            labs.down(name)


@pytest.mark.parametrize("victim", ["switch", "head", "n2"])
def test_a_half_dead_lab_is_seen_healed_and_removed(make_lab: MakeLab, lab_root: str, victim: str) -> None:
    before = traces(lab_root)
    lab = make_lab(nodes=2)
    inits = {"switch": lab.switch, **{m.name: m.init for m in lab.machines}}
    process.kill([init for name, init in inits.items() if name == victim and init])
    (status,) = labs.status(lab.name)
    assert status.state == "broken"
    assert lab.name not in labs.running()
    with pytest.raises(UsageError, match=r"lab\.up"):
        labs.cluster_file(lab.name)

    healed = labs.up(lab.name, nodes=2)

    assert healed.already_running is False
    assert labs.status(lab.name)[0].state == "running"
    assert not any(process.alive(init) for init in inits.values())
    process.kill([m.init for m in healed.machines if m.init and m.name == "n1"])
    labs.down(lab.name)
    assert traces(lab_root) == before


def test_a_folder_without_state_is_removed(lab_root: str) -> None:
    folder = store.folder("t-cut-off")
    folder.mkdir(parents=True)

    assert labs.down("t-cut-off") is True

    assert not folder.exists()


@pytest.mark.parametrize("moment", ["write_all", "claim", "order", "made"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, ClusterbootError])
def test_a_failed_start_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
    lab_root: str,
    moment: str,
    failure: type[BaseException],
) -> None:
    before = traces(lab_root)
    described: list[labs.Lab] = []

    def fail(*_: object) -> None:
        raise failure("in the middle")

    def new_lab(*args: Any, **options: Any) -> labs.Lab:
        described.append(labs.description.new_lab(*args, **options))
        return described[-1]

    target, attribute = {
        "write_all": (machine_files, "write_all"),
        "claim": (life, "_ip"),
        "order": (life, "_order"),
        "made": (wiring, "switch_lines"),
    }[moment]
    real_ip = life._ip
    with monkeypatch.context() as patch:
        patch.setattr(life, "new_lab", new_lab)
        patch.setattr(target, attribute, fail)
        if moment == "claim":
            # The link is made, and then it fails.
            patch.setattr(life, "_ip", lambda lines: (real_ip(lines), "del" in lines[0] or fail()))
        with pytest.raises(failure):
            labs.up("t-fails", nodes=2)

    assert traces(lab_root) == before
    assert labs.status("t-fails") == []
    (lab,) = described
    assert not Path("/sys/class/net", lab.link).exists()


def test_labs_of_one_folder_name_in_two_roots_share_a_network(make_lab: MakeLab, lab_root: str) -> None:
    """Two containers on the host's network, say: each lab has its own link, which goes with it alone."""
    lab = make_lab(nodes=2)
    code = f"""
from clusterboot import lab as labs
other = labs.up({lab.name!r}, nodes=2)
assert labs.status(other.name)[0].state == "running"
assert labs.down(other.name)
"""
    hidden = 'mount -t tmpfs other "$1" && shift && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", hidden, "sh", lab_root, sys.executable, "-c", code]

    subprocess.run(argv, check=True)

    assert labs.status(lab.name)[0].state == "running"
    assert Path("/sys/class/net", lab.link).exists()


def test_a_start_that_is_killed_leaves_only_what_down_removes(lab_root: str) -> None:
    before = traces(lab_root)
    code = """
import os, signal
from clusterboot.lab import life
def die(lines, real=life._ip):
    real(lines)
    if "netns" in lines[0]:
        os.kill(os.getpid(), signal.SIGKILL)
life._ip = die
life.up("t-killed", nodes=2)
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -9
    lab = store.load("t-killed")
    assert lab
    assert lab.switch

    assert labs.down("t-killed") is True

    assert not any(process.alive(init) for init in [lab.switch, *(m.init for m in lab.machines)])
    assert traces(lab_root) == before


def test_what_fails_inside_a_machine_is_named(monkeypatch: pytest.MonkeyPatch, lab_root: str) -> None:
    before = traces(lab_root)
    real = machine.tool
    monkeypatch.setattr(machine, "tool", lambda name: "/bin/false" if name == "sshd" else real(name))

    with pytest.raises(ClusterbootError, match="/bin/false ended with 1"):
        labs.up("t-fails", nodes=2)

    assert traces(lab_root) == before


def test_status_knows_each_machine(lab: labs.Lab) -> None:
    (status,) = labs.status(lab.name)

    assert (status.state, status.rate_bit_s, status.shared_home) == ("running", 10**9, False)
    assert [m.name for m in status.machines] == ["head", *(f"n{i}" for i in range(1, 9))]
    assert all(m.alive and not m.faults for m in status.machines)
    assert status in labs.status()


def test_the_cluster_file_is_a_fleet_that_pins_every_host(lab: labs.Lab) -> None:
    path = labs.cluster_file(lab.name)
    fleet = yaml.safe_load(path.read_text())

    ssh = fleet["ssh_config"]
    assert (fleet["type"], fleet["name"], ssh["user"], ssh["hosts"]) == (
        "fleet",
        lab.name,
        "ubuntu",
        ["n[1-8]"],
    )
    assert ssh["proxy_jump"]["hostname"] == str(lab.head_address)
    assert ssh["identity_file"] != ssh["proxy_jump"]["identity_file"]
    pinned = Path(fleet["clusterboot"]["trust"]["known_hosts"]).read_text()
    for name in [str(lab.head_address), *(f"{n.name},{n.address}" for n in lab.nodes)]:
        assert f"{name} ssh-ed25519 " in pinned
        assert f"{name} ecdsa-sha2-nistp256 " in pinned
    for key in (ssh["identity_file"], ssh["proxy_jump"]["identity_file"]):
        assert Path(key).stat().st_mode & 0o777 == 0o600


def test_files_go_to_the_person_behind_sudo(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "2345")

    lab = make_lab(nodes=1)

    for name in ("cluster.yaml", "known_hosts", "head_key", "node_key"):
        found = (lab.folder / name).stat()
        assert (found.st_uid, found.st_gid) == (1234, 2345)


@pytest.mark.parametrize("place", ["/tmp", "/root", "/home", "/var/tmp"])
def test_a_lab_may_be_kept_where_its_machines_have_something_else(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    root = Path(place, f"clusterboot-lab-{os.getpid()}")
    monkeypatch.setenv("CLUSTERBOOT_LAB_ROOT", str(root))
    old = os.umask(0o077)
    try:
        labs.up("t-elsewhere", nodes=1)
        seen = labs.node_exec("t-elsewhere", "n1", ["cat", "/etc/ssh/ssh_host_ecdsa_key.pub"], "ubuntu")
        assert seen.stdout.startswith("ecdsa-sha2-nistp256 "), seen.stderr
        assert labs.node_exec("t-elsewhere", "n1", ["touch", "f"], "ubuntu").returncode == 0
        assert (labs.node_home("t-elsewhere", "n1") / "f").exists()
    finally:
        os.umask(old)
        labs.down("t-elsewhere")
    assert not root.exists()


def test_one_change_at_a_time() -> None:
    entered = threading.Event()

    def wait_for_it() -> None:
        with machine.lock():
            entered.set()

    other = threading.Thread(target=wait_for_it)
    with machine.lock():
        other.start()
        assert not entered.wait(0.05)
    other.join()
    assert entered.is_set()
