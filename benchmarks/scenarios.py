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
}
