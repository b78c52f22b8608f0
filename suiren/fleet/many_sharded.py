"""Steps with sharded weights of many layouts: every number that `sharded.sharded_step` gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.columns import CODES, Layouts
from suiren.fleet.cost import lost_to_cores_s
from suiren.fleet.costs import HOST, Floats, at_clock, clock_of, device_s, dynamic_j
from suiren.fleet.known import SHARE, Known
from suiren.fleet.layout import Layout
from suiren.fleet.many_memory import is_wide, owners_of
from suiren.fleet.sharded import (
    Unit,
    optimizer_of,
    units_of,
    wire_of,
)
from suiren.fleet.sharded_framework import Sharded
from suiren.fleet.sharded_memory import GATHERED_AHEAD, trained_of
from suiren.fleet.share import share_of

_HOST = CODES["offload"].index("optimizer")


def sharded_of(rows: Layouts, known: Known) -> dict[str, Floats]:
    """Step, clock, watts, joules and owners of rows with zero 2 or 3 and one stage."""
    how = known.job.framework
    assert isinstance(how, Sharded)
    model, cluster = known.job.model, known.job.cluster
    units, share = known.table("units", rows, SHARE, lambda one: _units(one, known))
    mine = units[..., share]
    full = _work(mine, model.layers)
    clock, power_w = clock_of(full, device_s(full), cluster.card)
    floor = float(cluster.card.pace.voltage_floor)
    paced = np.stack([[at_clock(way, clock, floor) for way in unit] for unit in mine])
    work = _work(paced, model.layers)
    columns = ("tp", "cp", "dp", "precision")
    wire, place = known.table("wires", rows, columns, lambda one: _wire(one, known))
    run = _micro_batch(_Times(*(device_s(paced[n, w]) for n in (0, 1) for w in (0, 1)),
                              *wire[:, place]), model.layers, rows.zero == 3)  # fmt: skip
    beside_s = run[1] * lost_to_cores_s(1.0, cluster.card)
    host_s = work[HOST] + model.layers * how.host_unit_ops * float(how.host_op_s)
    one_s = np.maximum(run[0] + beside_s, host_s)
    columns = ("dp", "cp", "tp", "offload")
    adam, at = known.table("adam", rows, columns, lambda one: _adam(one, known))
    step_s = rows.micro_batches * one_s + adam[0, at]
    joules = rows.ranks * (rows.micro_batches * dynamic_j(work) + adam[1, at])
    found = {"step_s": step_s, "clock": clock, "power_w": power_w, "dynamic_j": joules}
    return found | sharded_owners_of(rows, known)


def sharded_owners_of(rows: Layouts, known: Known) -> dict[str, Floats]:
    """Bytes by owner, [rows] each, of rows whose ranks hold shards of the weights."""
    how = known.job.framework
    assert isinstance(how, Sharded)
    in_loss, in_layers, gradient = _gathered(rows, known, how)
    found = owners_of(rows, known, in_layers - in_loss + gradient)
    is_in_loss = found["logits"] > 0
    shards = rows.dp * rows.cp
    shard = known.job.model.params / shards / rows.tp
    trained = shard
    if how.accumulate == "frozen":
        trained = how.adapter_params * known.job.model.layers / rows.tp / shards
    return found | {
        "weights": np.where(is_in_loss, in_loss, in_layers),
        "gradients": np.where(is_in_loss & (rows.micro_batches == 1), 0.0,
                              how.gradient_bytes * trained)
        + np.where(is_in_loss, 0.0, gradient),
        "optimizer": how.weight_bytes * shard
        + np.where(rows.offload == _HOST, 0.0, how.state_bytes * trained),
    }


def _units(layout: Layout, known: Known) -> list[list[tuple[float, ...]]]:
    job = known.job
    assert isinstance(job.framework, Sharded)
    share = share_of(job.model, layout, job.framework)

    def ways(unit: Unit) -> list[tuple[float, ...]]:
        return [unit.forward.values(), unit.backward.values()]

    return [ways(unit) for unit in units_of(share, job.cluster, layout, job.framework)]


def _wire(layout: Layout, known: Known) -> list[float]:
    """Gather and scatter of a block, and of what stands around the blocks."""
    job = known.job
    assert isinstance(job.framework, Sharded)
    wire = wire_of(job.cluster, layout, job.framework)
    block, root = _params(known)
    return [wire.gather_s(block), wire.scatter_s(block), wire.gather_s(root), wire.scatter_s(root)]


def _params(known: Known) -> tuple[float, float]:
    """Weights of a block and of what stands around the blocks, unsplit."""
    model = known.job.model
    return float(model.layer_params()), float(model.params - model.layers * model.layer_params())


def _adam(layout: Layout, known: Known) -> tuple[float, float]:
    job = known.job
    assert isinstance(job.framework, Sharded)
    shard = trained_of(job.model, layout, job.framework)
    return optimizer_of(layout, shard, job.cluster, job.framework)


def _work(units: Floats, layers: int) -> Floats:
    block, root = units
    return np.asarray(layers * (block[0] + block[1]) + root[0] + root[1])


@dataclass(frozen=True, eq=False)
class _Times:
    """Seconds [rows] of the kernels and the collectives of a block and of the root."""

    forward: Floats
    backward: Floats
    root_forward: Floats
    root_backward: Floats
    gather: Floats
    scatter: Floats
    ends: Floats
    first: Floats


def _micro_batch(of: _Times, layers: int, gathers_again: NDArray[np.bool_]) -> list[Floats]:
    """`sharded._micro_batch` for all rows: when it ends, and what is hidden."""
    link = of.ends
    kernels, done = link, [link]
    nothing = np.zeros_like(link)
    for n in range(layers):
        free = done[n - GATHERED_AHEAD + 1] if n >= GATHERED_AHEAD else nothing
        link = np.maximum(link, free) + of.gather
        kernels = np.maximum(kernels, link) + of.forward
        done.append(kernels)
    kernels = kernels + (of.root_forward + of.root_backward)
    done = [kernels]
    again = np.where(gathers_again, of.gather, 0.0)
    for n in range(layers):
        free = done[n - GATHERED_AHEAD + 1] if n >= GATHERED_AHEAD else nothing
        link = np.maximum(link, np.where(again > 0, free, 0.0)) + again
        arrived = link
        if n:
            link = np.maximum(link, done[n]) + of.scatter
        kernels = np.maximum(kernels, arrived) + of.backward
        done.append(kernels)
    link = np.maximum(link, kernels) + of.scatter
    link = np.maximum(link, kernels) + of.first
    end = np.maximum(kernels, link)
    moved = of.ends + of.first + layers * (of.gather + again + of.scatter)
    work = layers * (of.forward + of.backward) + of.root_forward + of.root_backward
    return [end, np.maximum(0.0, moved - (end - work))]


def _gathered(rows: Layouts, known: Known, how: Sharded) -> tuple[Floats, Floats, Floats]:
    """`sharded.gathered` of rows, and the gradient of a whole block."""
    block, root = _params(known)
    wide = is_wide(rows)
    item = np.where(wide, 4, 2) / rows.tp
    whole = known.job.model.params * item
    in_loss = np.where(rows.zero == 2, whole, root * item * how.keeps_root)
    in_layers = np.where(rows.zero == 2, whole, (GATHERED_AHEAD * block + root) * item)
    reduce = np.where(wide | how.reduces_fp32, 4, 2)
    return in_loss, in_layers, block * reduce / rows.tp
