"""How many switches and optics a fabric needs: leaves, spines and cores of one kind of switch."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Switches:
    """Counts of a fabric."""

    switches: int
    optics: int
    """Modules at both ends of links between switches, and at both ends of links to nodes."""
    levels: int
    nodes_per_leaf: int


def switches_of(nodes: int, nics: int, ports: int, oversubscription: float) -> Switches:
    """A folded Clos network of the fewest levels.

    A leaf spends `oversubscription` times as many ports downwards as upwards. One switch serves up
    to `ports` NICs, two levels up to `down × ports` of them, three `down × ports²/2` (Al-Fares et
    al., A Scalable, Commodity Data Center Network Architecture, 2008). One node needs no switch.
    """
    ends = nodes * nics
    if nodes <= 1 or nics == 0:
        return Switches(0, 0, 0, max(1, nodes))
    if ends <= ports:
        return Switches(1, 2 * ends, 1, nodes)
    up = max(1, int(ports / (1 + oversubscription)))
    down = ports - up
    leaves = ceil(ends / down)
    links = leaves * up
    per_leaf = max(1, down // nics)
    if leaves <= ports:
        return Switches(leaves + ceil(links / ports), 2 * (ends + links), 2, per_leaf)
    # spines in pods pass as much upwards as they take from below
    spines, cores = ceil(2 * links / ports), ceil(links / ports)
    return Switches(leaves + spines + cores, 2 * (ends + 2 * links), 3, per_leaf)
