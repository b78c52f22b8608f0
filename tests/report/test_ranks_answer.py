"""The answer for many ranks: one rank among none is a card alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rank_programs import group, mm, ran

from suiren.fleet.ranks import RankProgram
from suiren.hw.catalog.node import NODES
from suiren.hw.cluster import Cluster
from suiren.hw.fact import assumed
from suiren.report.answer import answer
from suiren.report.ranks import answer_for_ranks

NODE = next(n for n in NODES if n.name == "t21x8")


def cluster(tdp_w: float) -> Cluster:
    card = replace(NODE.card, tdp_w=assumed(tdp_w, "a limit for the test"))
    return Cluster(name="held", title="held", node=replace(NODE, card=card), num_nodes=1)


def one() -> RankProgram:
    return ran([(mm(65536), 0, 0)] * 3, [group(0)])


@pytest.mark.parametrize("tdp_w", [400.0, 150.0])
def test_a_power_limit_holds_a_rank_as_it_holds_a_card(tdp_w: float) -> None:
    held = cluster(tdp_w)
    alone = answer(one().program, held.card, advise=False)
    among = answer_for_ranks([one()], held, advise=False)
    assert (alone.clock_share < 1) == (tdp_w < 200)
    assert among.main.clock_share == alone.clock_share
    assert among.step_time_s == alone.step_time_s
    assert among.energy_j == pytest.approx(alone.energy_j)


@pytest.mark.parametrize(("dimensions", "sharing"), [([], 1), (["shard"], 1), (["tp"], 8)])
def test_a_group_of_the_whole_world_that_is_a_tensor_dimension_shares_its_samples(
    dimensions: list[str], sharing: int
) -> None:
    """PyTorch has no group of its own for a dimension as long as the world."""
    world = {**group(*range(8)), "description": "default_pg", "dimensions": dimensions}
    program = ran([(mm(4096), 0, 0)], [world], tuple(range(8)), world=8)
    found = answer_for_ranks([program], cluster(400.0), advise=False)
    assert found.model_parallel == sharing
    assert found.samples == found.batch.samples * 8 // sharing
