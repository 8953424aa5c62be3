"""Each fault costs its own host, in time, and is told by host, stage, cause and remedy."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from connect_helpers import Way, echo, error_of, hosts_of, hurry  # type: ignore[import-not-found]
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.errors import ClusterbootError
from clusterboot.lab.enter import enter_argv
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.ssh.fleet import Fleet
from clusterboot.ssh.refusals import refusal_of

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("no_threads_left")]


# What n2 does not answer, and is to wait for so long; the others are logged in by then.
SILENT = {
    "port-filtered": {"connect_s": 1.5},
    "powered-off": {"connect_s": 1.5},
    "frozen": {"banner_s": 1.5},
}
# fault of n2, stage, cause, remedy
TOLD = [
    ("port-closed", "connect", r"cannot reach port 22: Connection refused", "sshd runs"),
    ("port-filtered", "connect", r"no answer on port 22 within 1.5 s, seen from ", "firewall"),
    ("powered-off", "connect", r"no answer on port 22 within 1.5 s, seen from ", "down"),
    ("frozen", "banner", r"connected, but no SSH banner came within 1.5 s", "frozen"),
    ("key-refused", "auth", r"key refused for ubuntu \(offered \S+node_key SHA256:", "AuthorizedKeysFile"),
    ("keys-elsewhere", "auth", r"key refused for ubuntu", "AuthorizedKeysFile"),
    ("no-sessions", "channel", r"sshd refused a session: open failed", "MaxSessions"),
    (
        "nologin",
        "channel",
        r"closed there by /etc/nologin: down for maintenance until noon",
        "remove that file",
    ),
    ("nologin-shell", "channel", r"ended before it ran anything \(exit status 1\).*not available", "nologin"),
    ("force-command", "channel", r"ended before it ran anything.*one command only", "ForceCommand"),
    ("exiting-shell", "channel", r"ended before it ran anything \(exit status 7\)", "start-up files"),
    (
        "changed-host-key",
        "hostkey",
        r"host key has changed: got SHA256:.*pinned is SHA256:.*known_hosts:\d",
        "line",
    ),
]


@pytest.mark.parametrize(("fault", "stage", "cause", "remedy"), TOLD, ids=[told[0] for told in TOLD])
def test_a_fault_of_one_node_is_told_and_the_others_are_done(
    *, broken: labs.Lab, fleet: Fleet, fault: str, stage: str, cause: str, remedy: str
) -> None:
    hosts = hosts_of(broken)
    labs.break_node(broken.name, "n2", fault)
    if fault in SILENT:
        fleet.each([host for host in hosts if host.name != "n2"], echo)
        hurry(fleet, **SILENT[fault])

    outcomes = fleet.each(hosts, echo)

    error = error_of(outcomes["n2"])
    assert (error.host, error.stage) == ("n2", stage)
    assert re.search(cause, error.cause), error.cause
    assert remedy in (error.remedy or "")
    assert error.status == ("untrusted" if stage == "hostkey" else error.status)
    assert outcomes["n1"] == outcomes["n3"] == "hello\n"


@pytest.mark.parametrize("fault", ["noisy-shell", "csh", "fish", "big-banner", "max-sessions", "few-tries"])
def test_what_is_odd_but_no_fault_does_no_harm(broken: labs.Lab, fleet: Fleet, fault: str) -> None:
    labs.break_node(broken.name, "n2", fault)

    for _ in range(3):
        assert set(fleet.each(hosts_of(broken), echo).values()) == {"hello\n"}


def test_a_full_disk_is_the_nodes_own_words(broken: labs.Lab, fleet: Fleet) -> None:
    labs.break_node(broken.name, "n2", "disk-full")

    def write(session: Session) -> tuple[int, bytes]:
        section = Section("write", "head -c 200000 /dev/zero > file; rm -f file; exec echo full")
        question = Question((section,), lambda reply: (reply["write"].exit_code, reply.stderr), "keys")
        return session.ask(question)

    outcomes = fleet.each(hosts_of(broken), write)

    assert b"No space left on device" in outcomes["n2"][1]
    assert outcomes["n1"] == (0, b"")


def test_two_nodes_with_swapped_addresses_are_both_refused(broken: labs.Lab, fleet: Fleet) -> None:
    labs.break_node(broken.name, "n2", "swapped:n3")

    outcomes = fleet.each(hosts_of(broken), echo)

    for name in ("n2", "n3"):
        assert error_of(outcomes[name]).status == "untrusted"
        assert "host key has changed" in error_of(outcomes[name]).cause
    assert outcomes["n1"] == "hello\n"


HEAD_TOLD = [
    ("no-forwarding", r"does not allow forwarding to port 22 of this host", "AllowTcpForwarding"),
    ("port-closed", r"connect: cannot connect to port 22: Connection refused", "sshd runs"),
    ("frozen", r"banner: connected, but no SSH banner came within 1.5 s", "frozen"),
    ("key-refused", r"auth: key refused for ubuntu \(offered \S+head_key", "AuthorizedKeysFile"),
]


@pytest.mark.parametrize(("fault", "cause", "remedy"), HEAD_TOLD, ids=[told[0] for told in HEAD_TOLD])
def test_a_fault_of_the_head_is_told_of_the_head(
    broken: labs.Lab, fleet: Fleet, fault: str, cause: str, remedy: str
) -> None:
    labs.break_node(broken.name, "head", fault)
    if fault == "frozen":
        hurry(fleet, banner_s=1.5)

    outcomes = fleet.each(hosts_of(broken), echo)

    for outcome in outcomes.values():
        error = error_of(outcome)
        assert error.stage == "gateway"
        assert re.search(cause, error.cause), error.cause
        assert remedy in (error.remedy or "")
        assert str(broken.head_address) in str(error)


@pytest.mark.parametrize("fault", ["sshd-stopped", "frozen", "powered-off"])
def test_the_head_dying_in_mid_run_is_one_error_for_all_behind_it(
    broken: labs.Lab, fleet: Fleet, fault: str
) -> None:
    fleet.each(hosts_of(broken), echo)
    labs.break_node(broken.name, "head", fault)
    hurry(fleet, "n1", "n2", "n3", channel_s=3)

    outcomes = fleet.each(hosts_of(broken), echo)

    causes = {(error_of(o).host, error_of(o).stage, error_of(o).cause) for o in outcomes.values()}
    word = "lost" if fault == "sshd-stopped" else "does not answer any more"
    ((host, stage, cause),) = causes
    assert (host, stage) == (str(broken.head_address), "gateway")
    assert word in cause


@pytest.mark.parametrize(
    ("fault", "stages"), [("frozen", {"channel"}), ("sshd-stopped", {"channel", "connect"})]
)
def test_a_node_that_goes_away_between_two_stages_costs_itself_alone(
    broken: labs.Lab, fleet: Fleet, fault: str, stages: set[str]
) -> None:
    """Whether the old connection's end is heard of first, or met where it is used, is a matter of chance."""
    fleet.each(hosts_of(broken), echo)
    labs.break_node(broken.name, "n2", fault)
    hurry(fleet, "n2", channel_s=3)

    outcomes = fleet.each(hosts_of(broken), echo)

    assert error_of(outcomes["n2"]).host == "n2"
    assert error_of(outcomes["n2"]).stage in stages
    assert outcomes["n1"] == outcomes["n3"] == "hello\n"


@pytest.fixture
def occupied(broken: labs.Lab) -> Iterator[None]:
    """Have somebody sit at n2's door without logging in, so that with MaxStartups 1 it is shut."""
    labs.break_node(broken.name, "n2", "max-startups")
    script = "exec 3<>/dev/tcp/n2/22 && IFS= read -r line <&3 && echo in && cat"
    init = next(m for m in broken.machines if m.name == "n1").init
    assert init
    with subprocess.Popen(
        enter_argv(init, ["bash", "-c", script]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as sitter:
        assert sitter.stdout
        assert sitter.stdout.readline() == b"in\n"
        yield
        sitter.communicate()


@pytest.mark.usefixtures("occupied")
def test_being_turned_away_is_retried_and_then_told(broken: labs.Lab, fleet: Fleet, way: Way) -> None:
    outcomes = fleet.each(hosts_of(broken), echo)

    error = error_of(outcomes["n2"])
    assert (error.host, error.stage) == ("n2", "banner")
    # Whichever sshd is installed: which text it sends depends on its release.
    refusal = refusal_of(error.cause.rpartition(": ")[2].strip("'"))
    assert refusal
    assert refusal.words
    assert error.cause.startswith(refusal.cause)
    assert "MaxStartups" in (error.remedy or "")
    assert outcomes["n1"] == outcomes["n3"] == "hello\n"
    tries = [line for line in way.audit_path.read_text().splitlines() if '"n2"' in line and "banner" in line]
    assert len(tries) == 1 + len(refusal.pauses_s)


def test_the_commands_deadline_ends_all_waits(broken: labs.Lab, way: Way) -> None:
    labs.break_node(broken.name, "n2", "powered-off")
    fleet = way.fleet(files=(broken.folder / "known_hosts",), deadline_s=HANGS_S, fanout=1)
    hosts = hosts_of(broken)
    fleet.each(hosts[:1], echo)
    watchdog = fleet.door.watchdog
    # Half of this is for who does not answer; then there is time enough, until the test says that it is up.
    watchdog._end_s = time.monotonic() + 8

    def use_it_up(session: Session) -> str:
        watchdog._end_s = time.monotonic() + HANGS_S
        said = echo(session)
        watchdog._end_s = time.monotonic()
        return said

    outcomes = fleet.each([hosts[1], hosts[0], hosts[2]], use_it_up)

    # Whoever does not answer leaves time for the others.
    assert "no answer" in error_of(outcomes["n2"]).cause
    assert "in half of the command's deadline" in error_of(outcomes["n2"]).cause
    assert outcomes["n1"] == "hello\n"
    assert "the command's deadline came before this host's turn" in error_of(outcomes["n3"]).cause


def test_each_gateway_is_opened_once_and_keys_stay_apart(broken: labs.Lab, fleet: Fleet, way: Way) -> None:
    fleet.each(hosts_of(broken), echo)

    entries = [json.loads(line) for line in way.audit_path.read_text().splitlines()]
    logins = [(e["host"], e["via"], e["key"]) for e in entries if e["event"] == "connect"]
    head = str(broken.head_address)
    assert [host for host, _, _ in logins].count(head) == 1
    keys = {host: key for host, _, key in logins}
    assert keys[head] not in (keys["n1"], keys["n2"])
    assert {via for host, via, _ in logins if host != head} == {head}


@pytest.mark.parametrize("fault", ["key-refused", "changed-host-key"])
def test_neither_a_refused_key_nor_a_changed_one_is_tried_again(
    broken: labs.Lab, fleet: Fleet, way: Way, fault: str
) -> None:
    labs.break_node(broken.name, "n2", fault)

    fleet.each(hosts_of(broken), echo)

    tries = [
        line for line in way.audit_path.read_text().splitlines() if '"n2"' in line and '"connect"' in line
    ]
    assert len(tries) == 1


def test_a_pass_over_many_faults_at_once_gives_each_host_its_own(broken: labs.Lab, fleet: Fleet) -> None:
    labs.break_node(broken.name, "n1", "frozen")
    labs.break_node(broken.name, "n2", "port-closed")
    fleet.each(hosts_of(broken)[2:], echo)
    hurry(fleet, banner_s=1.5)

    outcomes = fleet.each(hosts_of(broken), echo)

    stages = {name: o.stage if isinstance(o, ClusterbootError) else o for name, o in outcomes.items()}
    assert stages == {"n1": "banner", "n2": "connect", "n3": "hello\n"}
