"""The cluster of a training row: what the row says of its links counts."""

from __future__ import annotations

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
