"""What the nodes' counters say of the hosts that a result names: losses, errors, links that went down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

from clusterboot.run.counters import Counters
from clusterboot.units import percent

# A wire loses less by orders of magnitude; TCP itself makes that much of a full queue at times.
_TELLING = 0.001
# A node's own share counts where it is so many times that of the others.
_STANDS_OUT = 3
# Each of these is of a link that is not well, however few there are; with what they are in words.
_FAULTS = {
    "carrier_changes": "changes of carrier",
    "rx_crc_errors": "received packets with a wrong checksum",
    "tx_carrier_errors": "packets not sent for want of a carrier",
    "link_downed": "times that the link went down",
    "link_error_recovery": "recoveries of the link",
    "symbol_error": "symbol errors",
    "local_link_integrity_errors": "link integrity errors",
    "port_rcv_errors": "received packets with errors",
    "packet_seq_err": "packets sent again out of sequence",
    "local_ack_timeout_err": "acknowledgements that did not come in time",
}
# Of these there are some everywhere: with what they are a share of.
_SHARES = {
    "rx_errors": ("rx_packets", "received had errors"),
    "tx_errors": ("tx_packets", "sent had errors"),
    "rx_dropped": ("rx_packets", "received was dropped"),
    "tx_dropped": ("tx_packets", "had to send was dropped"),
    "rx_missed_errors": ("rx_packets", "received found no buffer in the adapter"),
    "port_xmit_discards": ("port_xmit_packets", "had to send was discarded"),
}
_MOST_A_HOST = 4


def retransmitted(grown: Counters) -> float | None:
    """Give the share of a host's TCP segments that were sent again; ``None`` where it sent none."""
    sent, again = grown.tcp.get("sent_segments"), grown.tcp.get("retransmitted_segments")
    return again / sent if sent and again is not None else None


def told_by_counters(named: Iterable[str], grown: Mapping[str, Counters]) -> tuple[str, ...]:
    """Say of each host that is named what speaks for it, the most telling first.

    Parameters: the hosts; what every host's counters grew by in the run. What is lost on the way into
    a host is seen at those who send to it, so that the others' share is given beside its own.
    """
    names = [name for name in dict.fromkeys(named) if name in grown]
    return tuple(f"{name}: {words}" for name in names for words in _of_host(name, grown)[:_MOST_A_HOST])


def _of_host(name: str, grown: Mapping[str, Counters]) -> list[str]:
    said = []
    for device, figures in (*grown[name].interfaces.items(), *grown[name].ports.items()):
        said += [f"{device} had {figures[key]} {words}" for key, words in _FAULTS.items() if figures.get(key)]
        for key, (whole, words) in _SHARES.items():
            part = figures.get(key, 0) / max(1, figures.get(whole, 0))
            if part >= _TELLING:
                said.append(f"{percent(part)} of what {device} {words}")
    shares = {host: share for host, each in grown.items() if (share := retransmitted(each)) is not None}
    own = shares.pop(name, None)
    others = median(shares.values()) if shares else None
    if own is not None and own >= max(_TELLING, _STANDS_OUT * (others or 0.0)):
        beside = f"; the others, {percent(others)}" if others is not None else ""
        said.append(f"it had to send {percent(own)} of its TCP segments again{beside}")
    elif own is not None and others is not None and others >= max(_TELLING, _STANDS_OUT * own):
        said.append(
            f"the others had to send {percent(others)} of their TCP segments again, it {percent(own)}:"
            " what is sent to it is lost"
        )
    elif own is not None and others is not None and min(own, others) >= _TELLING:
        said.append(f"it had to send {percent(own)} of its TCP segments again, the others {percent(others)}")
    return said
