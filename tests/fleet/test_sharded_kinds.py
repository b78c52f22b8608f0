"""Frameworks that shard: what a rank holds and how long it takes, beside a real FSDP2 script."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from suiren.fleet.block import layer
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.models import llama
from suiren.fleet.sharded import ShardedStep, sharded_step, wire_of
from suiren.fleet.sharded_framework import Sharded
from suiren.fleet.sharded_kinds import (
    FMS_FSDP,
    FSDP2,
    SHARDED_KINDS,
    TORCHTITAN,
    TORCHTUNE,
    TRAINER,
    ZERO_3,
    compiled,
    uncompiled,
)
from suiren.fleet.share import share_of
from suiren.hw.catalog.node import NODES
from suiren.hw.cluster import Cluster
from suiren.units import GiB

SMALL = llama("small", 8, 2048, 16, 4, 5632, 32000, 2048)
LLAMA3 = llama("llama3-8b", 32, 4096, 32, 8, 14336, 128256, 8192)
LLAMA2 = llama("llama2-7b", 32, 4096, 32, 0, 11008, 32000, 4096)
#: Products at the operator library's pace, as the virtual device has them.
DEVICE = replace(FSDP2, attention_kernel="library")
SCRIPT = Path(__file__).parent / "scripts" / "sharded_llama.py"
#: Model, ranks, batch a rank, what is computed again, in one of so many layers; then GiB at the
#: peak and seconds a step of scripts/sharded_llama.py on virtual H100.
RUNS = [
    (SMALL, 8, 2, "none", 1, 5.03, 0.0384), (SMALL, 8, 2, "full", 1, 2.46, 0.0453),
    (SMALL, 8, 2, "selective", 1, 3.21, 0.0430), (LLAMA2, 64, 1, "none", 1, 25.78, 0.434),
]  # fmt: skip
MORE_RUNS = [
    (LLAMA3, 8, 1, "full", 1, 26.19, 1.09), (LLAMA3, 8, 1, "selective", 1, 39.72, 0.996),
    (LLAMA3, 8, 1, "full", 2, 49.71, 0.994), (LLAMA2, 64, 2, "full", 1, 6.60, 0.943),
]  # fmt: skip


def cluster(ranks: int, node: str = "hgx-h100") -> Cluster:
    found = next(n for n in NODES if n.name == node)
    return Cluster(name=f"{node}-{ranks}", title="", node=found, num_nodes=ranks // 8)


def layout(ranks: int = 8, micro: int = 2, **more: object) -> Layout:
    given = {"global_batch": micro * ranks, "micro_batch": micro, "dp": ranks, "zero": 3}
    return Layout(**{**given, **more})  # type: ignore[arg-type]


def step(how: Sharded = DEVICE, ranks: int = 8, micro: int = 2, **more: object) -> ShardedStep:
    return sharded_step(SMALL, layout(ranks, micro, **more), cluster(ranks), how)


def tensors_bytes(found: ShardedStep) -> float:
    memory = found.memory
    return memory.total_bytes - memory.workspace - memory.fragmentation


@pytest.mark.parametrize(
    ("model", "ranks", "batch", "again", "every", "peak", "seconds"),
    [*RUNS, *(pytest.param(*run, marks=pytest.mark.slow) for run in MORE_RUNS)],
)
def test_peak_and_step_are_those_of_a_real_script_on_the_device(
    model: object, ranks: int, batch: int, again: str, every: int, peak: float, seconds: float
) -> None:
    how = layout(ranks, batch, recompute=again, recompute_every=every)
    found = sharded_step(model, how, cluster(ranks), DEVICE)  # type: ignore[arg-type]
    assert tensors_bytes(found) / GiB == pytest.approx(peak, rel=0.08)
    assert found.step_s == pytest.approx(seconds, rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("again", ["none", "products", "all", "2"])
def test_the_script_still_allocates_what_is_predicted(again: str) -> None:
    run = [sys.executable, "-m", "suiren.cli", "run", str(SCRIPT), "--on", "h100", "--ranks", "8",
           "--no-numerics", "--no-history", "--", "--again", again]  # fmt: skip
    told = subprocess.run(run, capture_output=True, text=True, timeout=300, check=True).stdout
    peak = float(re.search(r"peak bytes (\d+)", told)[1])  # type: ignore[index]
    way = {"products": "selective", "all": "full", "2": "full"}.get(again, "none")
    found = step(recompute=way, recompute_every=2 if again == "2" else 1)
    assert tensors_bytes(found) == pytest.approx(peak, rel=0.05)


def test_less_computed_again_is_faster_and_holds_more() -> None:
    ways = [step(recompute="full"), step(recompute="full", recompute_every=2),
            step(recompute="selective"), step(recompute="none")]  # fmt: skip
    assert ways[0].step_s > ways[1].step_s > ways[3].step_s
    assert ways[0].step_s > ways[2].step_s > ways[3].step_s
    assert ways[0].memory.activations < ways[2].memory.activations < ways[3].memory.activations
    assert ways[0].memory.activations < ways[1].memory.activations < ways[3].memory.activations


def test_selective_keeps_every_other_product() -> None:
    share = share_of(SMALL, layout(micro=1, recompute="selective"), FSDP2)
    kept = [size for name, size in layer(share).saved if name == "product"]
    rows, d, kv, wide = 2048, 2048, 512, 5632
    # queries, values, one side of the gate, and what the layer gives are kept
    assert sum(kept) == 2 * rows * (d + kv + wide + d)


def test_a_compiler_joins_what_modules_issue_one_by_one() -> None:
    plain, joined = step(FSDP2), step(compiled(FSDP2))
    assert joined.step_s < plain.step_s
    assert joined.memory.activations < plain.memory.activations
    assert compiled(TORCHTITAN) == TORCHTITAN
    assert uncompiled(TORCHTITAN).written == "complex"


def test_copies_of_the_shards_gather_within_a_node_and_hold_more() -> None:
    whole = sharded_step(SMALL, layout(64, 1), cluster(64), TORCHTITAN)
    copied = sharded_step(SMALL, layout(64, 1, copies=8), cluster(64), TORCHTITAN)
    assert copied.memory.optimizer == pytest.approx(8 * whole.memory.optimizer)
    wires = [wire_of(cluster(64), layout(64, 1, copies=n), TORCHTITAN) for n in (1, 8)]
    assert wires[1].gather_s(1e9) < wires[0].gather_s(1e9)
    inside = wire_of(cluster(8), layout(8, 1), TORCHTITAN)
    assert wires[1].scatter_s(1e9) > inside.scatter_s(1e9)  # summed over the copies besides


def test_copies_must_divide_the_ranks() -> None:
    with pytest.raises(BadLayout, match="cannot hold 3 copies"):
        layout(8, copies=3).check(SMALL)


def test_context_parallel_ranks_share_weights_too() -> None:
    found = sharded_step(SMALL, layout(8, 1, dp=2, cp=4, global_batch=2), cluster(8), TORCHTITAN)
    assert found.memory.optimizer == pytest.approx(12 * SMALL.params / 8)


def test_gradients_that_add_up_whole_are_reduced_once_but_stand_in_memory() -> None:
    many = {"global_batch": 8 * 2 * 4}
    once, each = step(TRAINER, **many), step(replace(TRAINER, sums_whole=False), **many)
    assert once.step_s <= each.step_s
    assert sum(once.parts_s.values()) == pytest.approx(once.step_s)
    assert once.memory.gradients - each.memory.gradients == pytest.approx(2 * SMALL.params)


@pytest.mark.parametrize(
    ("how", "bytes_each"), [(FSDP2, 12), (TORCHTUNE, 6), (ZERO_3, 14), (FMS_FSDP, 12)]
)
def test_shards_hold_what_each_framework_keeps_of_a_weight(how: Sharded, bytes_each: int) -> None:
    assert step(how).memory.optimizer == pytest.approx(bytes_each * SMALL.params / 8)


@pytest.mark.parametrize("how", list(SHARDED_KINDS.values())[::2], ids=lambda how: how.name)
def test_a_framework_takes_a_step(how: Sharded) -> None:
    found = step(how, recompute="full")
    assert 0.1 < found.mfu < 0.8
    assert sum(found.parts_s.values()) == pytest.approx(found.step_s)
