"""The faults that the inference is measured on, each drawn at random from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from simulator import Fabric, Fault

Draw = Callable[[Fabric, np.random.Generator], tuple[Fault, ...]]


def _nothing(*_: object) -> tuple[Fault, ...]:
    return ()


def _severity(generator: np.random.Generator) -> float:
    return float(generator.uniform(0.05, 0.7))


def _some(fabric: Fabric, count: int, generator: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(node) for node in generator.choice(len(fabric.rates), count, replace=False))


def _node(direction: str) -> Draw:
    def draw(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
        cap = bool(generator.random() < 0.5)
        return (Fault("node", _some(fabric, 1, generator), _severity(generator), direction, cap=cap),)  # type: ignore[arg-type]

    return draw


def _link(direction: str, *, dead: bool = False) -> Draw:
    def draw(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
        # One measurement alone may be flutter: it is not blamed until it loses 35%.
        severity = 0.0 if dead else min(_severity(generator), 0.7 if direction == "both" else 0.6)
        return (Fault("link", _some(fabric, 2, generator), severity, direction),)  # type: ignore[arg-type]

    return draw


def _group(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    """Draw nodes behind one uplink: racks or hosts as a whole, any nodes of a flat fabric."""
    nodes = len(fabric.rates)
    most = min((nodes - 1) // 3, 32)
    full = [home for home in fabric.homes if len(home) == max(map(len, fabric.homes))]
    size = len(full[0])
    if size == 1:
        members = _some(fabric, int(generator.integers(3, most + 1)), generator)
    elif size > most:
        members = full[0][: int(generator.integers(3, max(3, nodes // 4) + 1))]
    else:
        count = int(generator.integers(-(-3 // size), max(-(-3 // size), most // size) + 1))
        homes = generator.choice(len(full), count, replace=False)
        members = tuple(node for home in homes for node in full[home])
    return (Fault("group", tuple(sorted(members)), _severity(generator), where="across"),)


def _two_nodes(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    one, other = _some(fabric, 2, generator)
    return (Fault("node", (one,), _severity(generator)), Fault("node", (other,), _severity(generator)))


def _node_and_link(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    node, one, other = _some(fabric, 3, generator)
    return (Fault("node", (node,), _severity(generator)), Fault("link", (one, other), _severity(generator)))


def _node_in_group(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    (group,) = _group(fabric, generator)
    return (group, Fault("node", group.members[:1], _severity(generator)))


def _dead_node(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    return (Fault("node", _some(fabric, 1, generator), 0.0),)


# What is left of the line's rate at a loss of so many packets: measured with iperf3 on a TCP link.
_LOSSES = (0.0, 0.01, 0.04, 0.10, 0.25)
_LEFT = (1.0, 0.99, 0.80, 0.60, 0.05)


def _lossy(members: tuple[int, ...], least: float, generator: np.random.Generator) -> Fault:
    """Draw a loss of packets in one direction; the opposite one is fine."""
    loss = float(generator.uniform(least, _LOSSES[-1]))
    left = float(np.interp(loss, _LOSSES, _LEFT))
    direction = ("out", "in")[int(generator.integers(2))]
    kind = "node" if len(members) == 1 else "link"
    return Fault(kind, members, left, direction, jitter=2 * loss)  # type: ignore[arg-type]


def _lossy_node(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    return (_lossy(_some(fabric, 1, generator), 0.04, generator),)


def _lossy_pair(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    return (_lossy(_some(fabric, 2, generator), 0.12, generator),)


def _flapping(members: tuple[int, ...], generator: np.random.Generator, *, fast: bool) -> Fault:
    """Draw a link that comes and goes: several times within a visit, or once in several visits."""
    period_s = float(generator.uniform(0.1, 0.4) if fast else generator.uniform(0.4, 4.0))
    kind = "node" if len(members) == 1 else "link"
    severity, duty = float(generator.uniform(0.02, 0.3)), float(generator.uniform(0.4, 0.6))
    return Fault(kind, members, severity, period_s=period_s, duty=duty)  # type: ignore[arg-type]


def _flapper(ends: int, *, fast: bool) -> Draw:
    def draw(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
        return (_flapping(_some(fabric, ends, generator), generator, fast=fast),)

    return draw


def _bursty(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    left, burst = float(generator.uniform(0.05, 0.5)), float(generator.uniform(1.0, 8.0))
    return (Fault("link", _some(fabric, 2, generator), left, burst=burst),)


def _bad_cables(share: float) -> Draw:
    """Draw bad cables: this share of all pairs, a tenth of them dead.

    No node has as many as half of its cables bad: that is a bad node. The one pair inside a set of two
    is sound: were it as slow as the pairs between sets, nothing would tell that there is a set.
    """

    def draw(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
        nodes = len(fabric.rates)
        ones, others = np.triu_indices(nodes, 1)
        of_two = [home for home in fabric.homes if len(home) == 2]
        told = ~np.isin(ones * nodes + others, [min(home) * nodes + max(home) for home in of_two])
        ones, others = ones[told], others[told]
        count = max(1, round(share * ones.size))
        while True:
            chosen = generator.choice(ones.size, count, replace=False)
            if 2 * np.bincount(np.concatenate([ones[chosen], others[chosen]])).max() < nodes - 1:
                break
        return tuple(
            Fault(
                "link",
                (int(ones[at]), int(others[at])),
                0.0 if generator.random() < 0.1 else _severity(generator),
            )
            for at in chosen
        )

    return draw


def _several(fabric: Fabric, generator: np.random.Generator) -> tuple[Fault, ...]:
    """Draw a lossy node, a flapping node, a slow pair and a dead one."""
    lossy, flapping, *ends = _some(fabric, 6, generator)
    return (
        _lossy((lossy,), 0.04, generator),
        _flapping((flapping,), generator, fast=bool(generator.random() < 0.5)),
        Fault("link", (ends[0], ends[1]), _severity(generator)),
        Fault("link", (ends[2], ends[3]), 0.0),
    )


# What disturbs all measurements alike, as shares; see simulator.Conditions.
HEAVY = {"tail": 0.03}
OUTLIERS = {"outliers": 0.03}
HIGH = {"high": 0.03}
CONDITIONS: dict[str, dict[str, float]] = {
    "clean, heavy tails": HEAVY,
    "slow node, heavy tails": HEAVY,
    "slow pair, heavy tails": HEAVY,
    "clean, outliers either way": OUTLIERS,
    "slow node, outliers either way": OUTLIERS,
    "clean, some figures lie high": HIGH,
    "slow node, some figures lie high": HIGH,
    "slow pair, some figures lie high": HIGH,
}

# The smallest number of nodes with which a fault can be told from sound nodes, and its draw.
SCENARIOS: dict[str, tuple[int, Draw]] = {
    "clean": (2, _nothing),
    "slow node": (3, _node("both")),
    "slow node, out only": (3, _node("out")),
    "slow node, in only": (3, _node("in")),
    "dead node": (3, _dead_node),
    "slow pair": (3, _link("both")),
    "slow pair, one way": (3, _link("out")),
    "dead pair": (3, _link("both", dead=True)),
    "slow group": (16, _group),
    "two slow nodes": (5, _two_nodes),
    "slow node and slow pair": (6, _node_and_link),
    "slow node in slow group": (16, _node_in_group),
    "lossy node, one way": (3, _lossy_node),
    "lossy pair, one way": (4, _lossy_pair),
    "flapping node, fast": (6, _flapper(1, fast=True)),
    "flapping node, slow": (6, _flapper(1, fast=False)),
    "flapping pair, fast": (6, _flapper(2, fast=True)),
    "flapping pair, slow": (6, _flapper(2, fast=False)),
    "bursty pair": (4, _bursty),
    "5% bad cables": (16, _bad_cables(0.05)),
    "10% bad cables": (16, _bad_cables(0.10)),
    "25% bad cables": (16, _bad_cables(0.25)),
    "several kinds at once": (16, _several),
    "clean, heavy tails": (2, _nothing),
    "slow node, heavy tails": (3, _node("both")),
    "slow pair, heavy tails": (6, _link("both")),
    "clean, outliers either way": (2, _nothing),
    "slow node, outliers either way": (3, _node("both")),
    "clean, some figures lie high": (2, _nothing),
    "slow node, some figures lie high": (3, _node("both")),
    "slow pair, some figures lie high": (6, _link("both")),
}

# The faults that do not change, one or two at a time: what there is time for in the largest fabric.
STEADY = tuple(SCENARIOS)[:12]
