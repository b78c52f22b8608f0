"""Laws of whole spaces of layouts: one field changed in every row at once, and all rows obey."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from suiren.fleet.columns import code
from suiren.fleet.framework import MEGATRON_2021
from suiren.fleet.layouts import Layouts, space
from suiren.fleet.many import Many, steps_of
from suiren.fleet.models import find_model
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact
from suiren.hw.find_cluster import cluster_of

MODEL = find_model("gpt3-1.3b")
ROWS = space(MODEL, 16, global_batch=64, micro_batch=2, tp=(1, 2, 8))
CLUSTERS = ("dgx-a100*2", "t21x8*2")
ALMOST = 1 + 1e-9


@cache
def cluster(name: str) -> Cluster:
    return cluster_of(name)


@cache
def told(name: str) -> Many:
    return steps_of(MODEL, ROWS, cluster(name), MEGATRON_2021)


def changed(name: str, rows: Layouts = ROWS, **columns: object) -> Many:
    """All rows with columns set to one value."""
    new = {c: np.full_like(rows.tp, code(c, value)) for c, value in columns.items()}
    return steps_of(MODEL, replace(rows, **new), cluster(name), MEGATRON_2021)


def faster(of: Cluster) -> Cluster:
    """The same cards with every link twice as wide."""

    def twice(fact: Fact | None) -> Fact | None:
        return None if fact is None else fact.at(2 * float(fact))

    node = of.node
    assert node.topology is not None
    wires = tuple(replace(w, bytes_per_s=twice(w.bytes_per_s)) for w in node.topology.wires)
    wide = replace(node, topology=replace(node.topology, wires=wires),
                   pair_bytes_per_s=twice(node.pair_bytes_per_s),
                   nic_bytes_per_s=twice(node.nic_bytes_per_s))  # fmt: skip
    return replace(of, name=f"{of.name}-wide", node=wide)


@pytest.mark.parametrize("name", CLUSTERS)
def test_wider_links_slow_no_layout(name: str) -> None:
    wide = steps_of(MODEL, ROWS, faster(cluster(name)), MEGATRON_2021)
    assert len(ROWS) > 1000
    assert (wide.step_s <= told(name).step_s * ALMOST).all()
    assert (wide.step_s < 0.9 * told(name).step_s).any()


@pytest.mark.parametrize("name", CLUSTERS)
def test_owners_sum_to_the_peak_and_no_step_beats_the_cards(name: str) -> None:
    many = told(name)
    assert np.allclose(sum(many.owners_bytes.values()), many.memory_bytes, rtol=1e-12)
    assert (many.step_s > 0).all() and (many.mfu < 1).all() and (many.clock <= 1).all()


@pytest.mark.parametrize("name", CLUSTERS)
def test_no_job_takes_less_than_idle_cards_or_more_than_all_as_the_busiest(name: str) -> None:
    many, card = told(name), cluster(name).card
    average_w = many.energy_j / many.step_s / 16
    assert (average_w > card.idle_w).all() and (average_w <= card.tdp_w * ALMOST).all()
    # what waits for other stages or for gradients draws less than the busiest stage at work
    assert (average_w < many.power_w).mean() > 0.9
    split = many.layouts.pp > 1
    assert (average_w[split] < 0.9 * many.power_w[split]).any()


def test_schedules_move_work_and_cost_the_time_they_take() -> None:
    """Beyond idle power, the same passes take the same energy whatever stands between them."""
    rows = ROWS.select((ROWS.vpp == 1) & (ROWS.pp > 1))
    card = cluster("t21x8*2").card
    beyond = []
    for schedule in ("1f1b", "zero-bubble", "gpipe"):
        many = changed("t21x8*2", rows, schedule=schedule)
        beyond.append(many.energy_j - card.idle_w * 16 * many.step_s)
    assert np.allclose(beyond[0], beyond[1], rtol=1e-9)
    assert np.allclose(beyond[0], beyond[2], rtol=1e-9)


def test_shared_states_need_no_more_memory() -> None:
    whole, shared = changed("dgx-a100*2", zero=0), changed("dgx-a100*2", zero=1)
    assert (shared.memory_bytes <= whole.memory_bytes).all()
    some = ROWS.dp > 1
    assert (shared.memory_bytes[some] < whole.memory_bytes[some]).all()


def test_what_is_computed_again_is_not_kept_and_takes_time() -> None:
    none, some, full = (changed("dgx-a100*2", recompute=r) for r in ("none", "selective", "full"))
    assert (some.memory_bytes <= none.memory_bytes).all()
    assert (full.memory_bytes <= none.memory_bytes).all()
    assert (none.step_s <= some.step_s * ALMOST).all()
    assert (some.step_s <= full.step_s * ALMOST).all()


def test_gradients_beside_the_last_backward_pass_are_never_slower() -> None:
    alone = changed("t21x8*2", overlap_gradients=False)
    beside = changed("t21x8*2", overlap_gradients=True)
    assert (beside.step_s <= alone.step_s * ALMOST).all()
    assert (beside.step_s < alone.step_s).any()


def test_schedules_are_in_order() -> None:
    """Zero-bubble fills what 1F1B leaves idle; GPipe keeps more and is no faster."""
    rows = ROWS.select((ROWS.vpp == 1) & (ROWS.pp > 1))
    plain, moved, piped = (changed("dgx-a100*2", rows, schedule=s)
                           for s in ("1f1b", "zero-bubble", "gpipe"))  # fmt: skip
    assert (moved.step_s <= plain.step_s * ALMOST).all()
    assert (piped.memory_bytes >= plain.memory_bytes).all()
    assert (moved.step_s < plain.step_s).mean() > 0.9


def test_an_optimizer_on_the_host_leaves_room() -> None:
    here, there = changed("t21x8*2", offload="none"), changed("t21x8*2", offload="optimizer")
    assert (there.memory_bytes < here.memory_bytes).all()
    assert (there.owners_bytes["optimizer"] == 0).all()
