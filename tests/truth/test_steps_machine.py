"""The cluster of a training row: what the row says of its links counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suiren.hw.catalog import CARDS
from suiren.truth.rows import Row
from suiren.truth.steps_machine import cluster_of


def row(interconnect: str, source: str = "somewhere") -> Row:
    shape = {"n_devices": "64", "interconnect": interconnect}
    return Row("x", "A100", "training step", shape, "", 1.0, "s", source, "", "check", 2, "gpt")


FOUR = "in-node NVLink; inter-node 4x HDR IB = 800 Gb/s per node"
EIGHT = "NVLink/NVSwitch in node; 8x HDR 200Gb/s IB per node (fat tree)"


def test_rows_of_one_card_and_size_may_stand_on_other_links() -> None:
    """The order in which rows come must not matter."""
    card = CARDS["a100"]
    four, eight, again = (cluster_of(row(text), card) for text in (FOUR, EIGHT, FOUR))
    assert four is again
    assert four.node.nics == 4
    assert eight.node.nics == 8
    assert four.num_ranks == eight.num_ranks == 64


def test_lines_of_one_file_are_one_source() -> None:
    card = CARDS["a100"]
    assert cluster_of(row(FOUR, "f.csv:L2"), card) is cluster_of(row(FOUR, "f.csv:L3"), card)


@pytest.mark.parametrize(("text", "nics", "gbit_per_s"), [
    ("4x Omni-Path 100 Gb/s per node", 4, 100), ("4x OPA 100Gb/s", 4, 100),
    ("8x200Gb/s HDR", 8, 200), ("4x HDR IB = 800 Gb/s per node", 4, 200),
    ("8 x 400 Gb/s NDR", 8, 400), ("100 Gb/s per node", 1, 100),
])  # fmt: skip
def test_nics_as_tables_spell_them(text: str, nics: int, gbit_per_s: int) -> None:
    node = cluster_of(row(text), CARDS["a100"]).node
    assert node.nics == nics
    assert node.nic_bytes_per_s == pytest.approx(gbit_per_s / 8 * 1e9)


def test_nodes_hold_as_many_cards_as_the_row_says() -> None:
    """Jean Zay's nodes hold four V100, a pair of NVLinks between any two; a DGX-1 holds eight."""
    one = row("4x OPA 100 Gb/s")
    small = cluster_of(replace(one, shape={**one.shape, "nodes": "16"}), CARDS["v100"])
    assert (small.cards_per_node, small.num_nodes, small.node.nics) == (4, 16, 4)
    assert small.node.pair_bytes_per_s == pytest.approx(50e9)
    usual = cluster_of(replace(one, shape={**one.shape, "nodes": "8"}), CARDS["v100"])
    assert (usual.cards_per_node, usual.node.name.startswith("dgx-1")) == (8, True)
    switched = cluster_of(replace(one, shape={**one.shape, "nodes": "16"}), CARDS["a100"])
    assert switched.node.pair_bytes_per_s == pytest.approx(300e9)
