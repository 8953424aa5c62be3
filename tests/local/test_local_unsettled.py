"""What the nodes answer and the cluster file does not settle: exit code 7, and the line to write."""

from __future__ import annotations

import pytest
from local_cluster import LocalCluster

from clusterboot.commands.bootstrap import bootstrap
from clusterboot.errors import ExitCode, UnsettledError
from clusterboot.session.local import locally

# As iproute2 prints them; no link says how fast it is.
TWO = """#!/bin/sh
cat <<'END'
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
2: ib0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 qdisc mq state UP group default qlen 1000
    link/ether 02:00:00:00:00:{number:02x} brd ff:ff:ff:ff:ff:ff
    inet 10.77.0.{number}/24 brd 10.77.0.255 scope global ib0
3: ib1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 qdisc mq state UP group default qlen 1000
    link/ether 02:00:00:00:01:{number:02x} brd ff:ff:ff:ff:ff:ff
    inet 10.78.0.{number}/24 brd 10.78.0.255 scope global ib1
END
"""


def test_two_networks_are_not_settled_until_the_line_is_written(cluster: LocalCluster) -> None:
    for number, name in enumerate(cluster.homes, 1):
        cluster.program(name, "ip", TWO.format(number=number))
    text = cluster.cluster_file.read_text()
    line = "  network: 10.77.0.0/24\n"
    assert line in text
    cluster.cluster_file.write_text(text.replace(line, ""))

    with pytest.raises(UnsettledError) as caught:
        bootstrap(cluster.context(reach=locally(cluster.without("n2"))), "launch")

    assert caught.value.exit_code is ExitCode.UNSETTLED
    assert str(caught.value) == (
        "hostfile: any of these could be the interconnect: 10.77.0.0/24 on ib0; 10.78.0.0/24 on ib1; write"
        " under ssh_config in the cluster file network: 10.77.0.0/24 or network: 10.78.0.0/24"
    )
    assert [row.status for row in caught.value.hosts] == ["ok", "unreachable", "ok"]

    cluster.cluster_file.write_text(text)
    assert bootstrap(cluster.context(), "launch").exit_code is ExitCode.OK
