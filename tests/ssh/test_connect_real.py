"""Trust and ways, against real sshds on the loopback."""

from __future__ import annotations

import json
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from connect_helpers import Way, echo, error_of, said  # type: ignore[import-not-found]
from ports import held_port

from clusterboot.errors import HostKeySeen
from clusterboot.inventory.cluster import Host
from clusterboot.nodes.sessions import Session
from clusterboot.ssh.trust import UnknownHostKeyError

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("no_threads_left")]

StartSshd = Callable[..., Any]
NewKey = Callable[..., Any]


def nothing_was_sent(server: Any) -> bool:
    """True where nobody so much as named a user to a server, who logs it all."""
    said = server.said
    return server.attempts == 0 and not any(
        w in said for w in ("authenticating user", "Postponed", "Invalid user")
    )


def connects(way: Way) -> list[tuple[str, str | None, str]]:
    entries = [json.loads(line) for line in way.audit_path.read_text().splitlines()]
    return [(f"{e['host']}:{e['port']}", e["via"], e["outcome"]) for e in entries if e["event"] == "connect"]


def test_a_man_in_the_middle_at_the_heads_address_hears_nothing(
    way: Way, sshd: StartSshd, new_key: NewKey
) -> None:
    impostor, node = sshd(), sshd()
    pinned = f"[{impostor.address}]:{impostor.port} {new_key('the-real-one').public}\n"
    hosts = [replace(node.host, name=f"n{i}", via=(impostor.login,)) for i in range(3)]

    outcomes = way.fleet(known=pinned + node.known(), accept_new=True).each(hosts, echo)

    for outcome in outcomes.values():
        assert (error_of(outcome).status, error_of(outcome).stage) == ("untrusted", "hostkey")
        assert "host key has changed" in error_of(outcome).cause
    assert nothing_was_sent(impostor)
    assert "Connection from" not in node.said
    assert impostor.said.count("Connection from") == 1


def test_a_man_in_the_middle_between_head_and_node_hears_nothing(
    way: Way, sshd: StartSshd, new_key: NewKey
) -> None:
    head, impostor, honest = sshd(), sshd(), sshd()
    pinned = f"[{impostor.address}]:{impostor.port} {new_key('the-real-one').public}\n"
    hosts = [Host("bad", impostor.login, (head.login,)), Host("good", honest.login, (head.login,))]

    outcomes = way.fleet(known=pinned + head.known() + honest.known(), accept_new=True).each(hosts, echo)

    assert error_of(outcomes["bad"]).status == "untrusted"
    assert outcomes["good"] == "hello\n"
    assert nothing_was_sent(impostor)


def test_an_unknown_key_is_refused_before_any_login(way: Way, sshd: StartSshd) -> None:
    server = sshd()

    error = error_of(way.fleet().each([server.host], echo)["node"])

    assert isinstance(error, UnknownHostKeyError)
    assert (error.status, int(error.exit_code)) == ("untrusted", 5)
    assert nothing_was_sent(server)


def test_with_accept_new_a_key_is_pinned_and_then_kept_to(way: Way, sshd: StartSshd, new_key: NewKey) -> None:
    server = sshd()

    assert way.fleet(accept_new=True).each([server.host], echo) == {"node": "hello\n"}
    assert server.host_key.public in (way.folder / "state" / "known_hosts").read_text()
    assert way.fleet().each([server.host], echo) == {"node": "hello\n"}


@pytest.mark.parametrize("answer", [True, False])
def test_all_unknown_nodes_are_asked_about_at_once_and_all_gateways_before(
    way: Way, sshd: StartSshd, answer: bool
) -> None:
    head, one, two = sshd(), sshd(), sshd()
    asked: list[list[str]] = []
    told: list[str] = []

    def ask(unknown: Sequence[HostKeySeen]) -> bool:
        asked.append([seen.fingerprint for seen in unknown])
        return answer or len(asked) == 1

    hosts = [Host("a", one.login, (head.login,)), Host("b", two.login, (head.login,))]
    outcomes = way.fleet(ask=ask).each(hosts, echo, lambda host, _: told.append(host.name))

    assert [len(question) for question in asked] == [1, 2]
    assert sorted(told) == ["a", "b"]
    if answer:
        assert set(outcomes.values()) == {"hello\n"}
    else:
        assert all(isinstance(outcome, UnknownHostKeyError) for outcome in outcomes.values())
        assert nothing_was_sent(one)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_host_certificate_is_believed_on_the_word_of_its_ca(
    way: Way, sshd: StartSshd, new_key: NewKey, kind: str
) -> None:
    ca, host_key = new_key("ca"), new_key("host", kind=kind)
    argv = [
        "ssh-keygen",
        "-q",
        "-s",
        str(ca.path),
        "-I",
        "id",
        "-h",
        "-n",
        "127.0.0.1",
        f"{host_key.path}.pub",
    ]
    subprocess.run(argv, check=True, capture_output=True)
    server = sshd(f"HostCertificate {host_key.path}-cert.pub", host_key=host_key)
    known = f"@cert-authority * {ca.public}\n"

    session = way.fleet(known=known).each([server.host], lambda s: (echo(s), s.host_key_blob))["node"]

    assert session == ("hello\n", host_key.blob)
    # A plain pin of the same host goes on working where the machine has a certificate, too.
    assert way.fleet(known=server.known()).each([server.host], echo) == {"node": "hello\n"}
    with_revoked = known + f"@revoked * {host_key.public}\n"
    assert "@revoked" in error_of(way.fleet(known=with_revoked).each([server.host], echo)["node"]).cause


def test_an_rsa_host_key_that_is_pinned_is_asked_for(way: Way, sshd: StartSshd, tmp_path: Path) -> None:
    rsa = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)], check=True)
    server = sshd(f"HostKey {rsa}")
    line = " ".join(Path(f"{rsa}.pub").read_text().split()[:2])

    known = f"[{server.address}]:{server.port} {line}\n"
    assert way.fleet(known=known).each([server.host], echo) == {"node": "hello\n"}


def test_several_hops_jumps_of_a_hosts_own_and_none_at_all_go_together(way: Way, sshd: StartSshd) -> None:
    first, second, other, node = sshd(), sshd(), sshd(), sshd()
    two_hops = (first.login, second.login)
    hosts = [
        Host("far1", node.login, two_hops),
        Host("far2", node.login, two_hops),
        Host("near", node.login, (other.login,)),
        Host("direct", node.login),
    ]
    fleet = way.fleet(known="".join(server.known() for server in (first, second, other, node)))

    assert set(fleet.each(hosts, echo).values()) == {"hello\n"}
    assert set(fleet.each(hosts, echo).values()) == {"hello\n"}

    ports = {
        name: f"127.0.0.1:{s.port}" for name, s in (("1", first), ("2", second), ("o", other), ("n", node))
    }
    assert Counter(connects(way)) == Counter(
        [
            (ports["1"], None, "ok"),
            (ports["2"], ports["1"], "ok"),
            (ports["o"], None, "ok"),
            (ports["n"], ports["2"], "ok"),
            (ports["n"], ports["2"], "ok"),
            (ports["n"], ports["o"], "ok"),
            (ports["n"], None, "ok"),
        ]
    )
    # Each machine accepted its own key alone.
    for server in (first, second, other):
        assert server.attempts == 1


def test_a_dead_second_hop_is_named(way: Way, sshd: StartSshd) -> None:
    first, node = sshd(), sshd()
    with socket.socket() as holder:
        second = replace(first.login, port=held_port(holder, "127.0.0.1"))
        error = error_of(
            way.fleet(known=first.known()).each([Host("n", node.login, (first.login, second))], echo)["n"]
        )

    assert error.stage == "gateway"
    assert f"127.0.0.1:{first.port} cannot reach port" in error.cause
    assert "refused" in error.cause


def test_an_ipv6_only_node_is_reached_directly_and_through_a_head(way: Way, sshd: StartSshd) -> None:
    head, node = sshd(), sshd(address="::1")
    hosts = [Host("direct", node.login), Host("behind", node.login, (head.login,))]

    outcomes = way.fleet(known=head.known() + node.known()).each(hosts, echo)

    assert set(outcomes.values()) == {"hello\n"}


def test_an_alias_is_what_a_host_is_pinned_under(way: Way, sshd: StartSshd) -> None:
    server = sshd()
    host = Host("n", replace(server.login, hostkey_alias="gpu1"))

    assert way.fleet(known=server.known("gpu1")).each([host], echo) == {"n": "hello\n"}


def test_what_a_gateway_permits_not_is_told(way: Way, sshd: StartSshd) -> None:
    head, node = sshd("PermitOpen 127.0.0.1:1"), sshd()

    error = error_of(
        way.fleet(known=head.known() + node.known()).each([Host("n", node.login, (head.login,))], echo)["n"]
    )

    assert error.stage == "gateway"
    assert "does not allow forwarding" in error.cause
    assert "PermitOpen" in (error.remedy or "")


def test_a_name_that_the_gateway_does_not_know_is_told(way: Way, sshd: StartSshd) -> None:
    head, node = sshd(), sshd()
    host = Host("n", replace(node.login, hostname="no-such-host.invalid"), (head.login,))

    error = error_of(way.fleet(known=head.known()).each([host], echo)["n"])

    assert (error.host, error.stage) == ("n", "resolve")
    assert f"127.0.0.1:{head.port} knows the name" in (error.remedy or "")


def test_many_hosts_on_one_busy_sshd_all_get_in(way: Way, sshd: StartSshd) -> None:
    server = sshd("MaxStartups 2:100:2")
    fleet = way.fleet(known=server.known(), fanout=10)

    outcomes = fleet.each([Host(f"n{i}", server.login) for i in range(10)], echo)

    done = [name for name, outcome in outcomes.items() if outcome == "hello\n"]
    turned_away = [o for o in outcomes.values() if o != "hello\n"]
    assert len(done) >= 8, turned_away
    assert server.said.count("Failed publickey") == 0


def test_more_commands_than_sessions_take_turns(way: Way, sshd: StartSshd) -> None:
    server = sshd("MaxSessions 1")
    fleet = way.fleet(known=server.known())

    def often(session: Session) -> int:
        for _ in range(10):
            echo(session)
        return 10

    assert fleet.each([server.host], often) == {"node": 10}


def test_a_full_hard_disk_of_the_operator_stops_before_the_first_command(way: Way, sshd: StartSshd) -> None:
    server = sshd()
    fleet = way.fleet(known=server.known())
    session = fleet.session(server.host)
    canary = way.folder / "canary"
    fleet.audit.close()  # as good as gone: nothing can be written to it any more

    with pytest.raises(Exception, match=r"audit log .* cannot be written"):
        session.ask(said("touch", f"touch {canary}"))
    assert not canary.exists()
    fleet.audit.__init__(way.audit_path)  # type: ignore[misc]


def test_no_secret_reaches_the_audit_log(way: Way, sshd: StartSshd, new_key: NewKey) -> None:
    server = sshd()
    key = new_key("sealed")
    (way.folder / "sshd0" / "login.pub").write_text(key.public + "\n")
    argv = ["ssh-keygen", "-q", "-p", "-N", "canary-passphrase", "-f", str(key.path)]
    subprocess.run(argv, check=True, capture_output=True)
    host = Host("n", replace(server.login, identity_files=(key.path,)))
    fleet = way.fleet(known=server.known(), passphrase=lambda _: "canary-passphrase")

    def work(session: Session) -> str:
        return session.ask(said("a", "echo canary-output; : canary-env"))

    assert fleet.each([host], work) == {"n": "canary-output\n"}
    assert "canary" not in way.audit_path.read_text().replace("no-canary", "")
    assert "PRIVATE" not in way.audit_path.read_text()
