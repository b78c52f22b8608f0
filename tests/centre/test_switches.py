"""Fabrics beside the closed forms of their papers."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suiren.centre.switches import switches_of


def test_one_node_needs_no_switch() -> None:
    assert switches_of(1, 8, 64, 1.0).switches == 0
    assert switches_of(9, 0, 64, 1.0).switches == 0


def test_what_fits_one_switch_takes_one() -> None:
    assert switches_of(8, 8, 64, 1.0).switches == 1
    assert switches_of(9, 8, 64, 1.0).switches > 1


def test_two_full_levels_are_half_as_many_spines_as_leaves() -> None:
    """64 ports: 64 leaves of 32 down and 32 up, 32 spines, 2048 ends."""
    found = switches_of(256, 8, 64, 1.0)
    assert (found.switches, found.levels, found.nodes_per_leaf) == (64 + 32, 2, 4)
    assert found.optics == 2 * (2048 + 2048)


@pytest.mark.parametrize("ports", [4, 8, 16, 32])
def test_three_full_levels_are_a_fat_tree(ports: int) -> None:
    """Al-Fares et al.: k-port switches carry k³/4 hosts with 5k²/4 switches."""
    found = switches_of(ports**3 // 4, 1, ports, 1.0)
    assert (found.levels, found.switches) == (3, 5 * ports**2 // 4)


@given(st.integers(2, 600), st.integers(1, 8), st.sampled_from([32, 40, 64]), st.floats(1, 4))
def test_every_end_has_a_port(nodes: int, nics: int, ports: int, over: float) -> None:
    found = switches_of(nodes, nics, ports, over)
    ends = nodes * nics
    assert found.switches >= ceil(ends / ports)
    assert found.optics >= 2 * ends
    assert found.switches <= switches_of(nodes + 1, nics, ports, over).switches


@given(st.integers(2, 600), st.floats(1, 4))
def test_oversubscription_saves_switches(nodes: int, over: float) -> None:
    assert switches_of(nodes, 8, 64, over).switches <= switches_of(nodes, 8, 64, 1.0).switches
