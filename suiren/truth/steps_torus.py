"""Rows of MaxText on TPU slices: one compiled program a step, weights sharded over a torus.

Slices exchange gradients over the data-centre network while the backward pass runs; that time is
taken as hidden.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from math import isqrt
from typing import Literal

from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.model import BadModel, Model
from suiren.fleet.sharded import ShardedStep, sharded_step
from suiren.fleet.sharded_framework import MAXTEXT
from suiren.hw.catalog.node import NODES
from suiren.hw.cluster import Cluster
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.truth.steps_model import number
from suiren.truth.unknown import NotPredicted

#: Frameworks that compile a step for a slice, by what their names hold.
_COMPILED = ("maxtext", "jax", "xla", "paxml")
_UNGATED = ("gpt",)


def covers(row: Row) -> bool:
    """True for rows of this family."""
    on_tpu = not row.hardware or "tpu" in row.hardware.lower()
    named = any(word in row.shape.get("framework", "").lower() for word in _COMPILED)
    return row.op == "training step" and on_tpu and named


def seconds(row: Row, card: Card) -> float:
    """Seconds of the step."""
    return step_of(row, card).step_s


def step_of(row: Row, card: Card) -> ShardedStep:
    """The step of a row; raises NotPredicted with the reason."""
    if card.chip.family != "tpu":
        raise NotPredicted("MaxText on anything but TPUs is not predicted")
    chips = slices_of(row)[1]
    if number(row, "tp") > 1 or number(row, "ep", 1) > 1:
        raise NotPredicted("tensor and expert parallel groups on a torus are not predicted")
    if row.dtype != "bf16":
        raise NotPredicted(f"the precision {row.dtype!r} is not predicted")
    micro = number(row, "micro_batch")
    layout = Layout(global_batch=micro * chips, micro_batch=micro, dp=chips, zero=3,
                    recompute=recompute_of(row))  # fmt: skip
    try:
        return sharded_step(model_of(row), layout, slice_of(Held(card), chips), MAXTEXT)
    except (BadLayout, BadModel) as problem:
        raise NotPredicted(str(problem)) from None


def recompute_of(row: Row) -> Literal["none", "full"]:
    """MaxText's policies but `none` keep little more than a block's input on the card."""
    policy = row.shape.get("recompute", "").partition("=")[2]
    if policy in ("", "?"):
        raise NotPredicted("the row does not say what is computed again")
    return "none" if policy == "none" else "full"


def slices_of(row: Row) -> tuple[int, int]:
    """(slices, chips in each)."""
    ranks = number(row, "n_devices")
    found = re.match(r"(\d+) slice", row.shape.get("nodes", ""))
    slices = int(found[1]) if found else 1
    return slices, ranks // slices


def model_of(row: Row) -> Model:
    """The model; raises NotPredicted for what the row leaves open."""
    about = row.notes
    head = re.search(r"head_dim=(\d+)", about)
    # the two oldest models only have their printed size with wider heads and two matrices
    old = "only fits head_dim=256 and a 2-matrix MLP" in about
    gated = not old and not row.text.lower().startswith(_UNGATED)
    return Model(
        name=row.text, layers=number(row, "n_layers"), d_model=number(row, "d_model"),
        heads=number(row, "n_heads"), kv_heads=number(row, "n_kv_heads", 0),
        d_ff=number(row, "d_ff"), vocab=number(row, "vocab"), seq=number(row, "seq_len"),
        head_dim=256 if old else int(head[1]) if head else 0, gated=gated, tied=False, norm="rms",
        positions="rotary", bias=False, dropout=False, attention="flash",
    )  # fmt: skip


@lru_cache(maxsize=None)
def slice_of(held: Held, chips: int) -> Cluster:
    """A slice: TPU v4 in three dimensions of at least four, the others as square as it goes."""
    card = held.card
    host = next(n for n in NODES if n.card.chip.family == "tpu")
    if card.link is not None and card.link.ports >= 6:
        sides = (4, 4, chips // 16) if chips >= 64 else (2, 2, max(1, chips // 4))
    else:
        short = next(n for n in range(isqrt(chips), 0, -1) if chips % n == 0)
        sides = (short, chips // short)  # type: ignore[assignment]
    node = replace(host, name=f"{card.name}-host", card=card)
    return Cluster(
        name=f"{card.name}-{chips}", title=f"{chips} x {card.title}", node=node,
        num_nodes=max(1, -(-chips // int(host.num_cards))), fabric="torus", torus=tuple(sides),
    )  # fmt: skip
