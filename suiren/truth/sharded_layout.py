"""The layout that a row of a sharding framework describes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from suiren.fleet.layout import Layout, Recompute, Schedule
from suiren.fleet.memory import StageMemory, peak
from suiren.fleet.model import Model
from suiren.fleet.sharded_framework import Sharded
from suiren.fleet.sharded_memory import sharded_memory
from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.truth.sharded_kind import stage_of, words_of
from suiren.truth.steps_model import number
from suiren.truth.unknown import NotPredicted

Precision = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "fp4"]
_FORMATS: tuple[tuple[str, Precision], ...] = (
    (r"fp4", "fp4"), (r"fp8|float8", "fp8"), (r"bf16|bfloat16|mixed", "bf16"),
    (r"fp16|float16|half|amp", "fp16"), (r"tf32", "tf32"), (r"fp32|float32", "fp32"),
)  # fmt: skip
#: Cards of a node, where a row shares weights within nodes and states no number of copies.
_NODE = 8


def precision_of(row: Row) -> Precision:
    """The format of products; BF16 where a row says nothing. 8 bits may stand in its notes."""
    said = row.shape.get("precision", "").lower()
    if re.search(r"float8|fp8", f"{row.shape.get('framework', '')} {said}".lower()):
        return "fp8"
    if not said:
        return "bf16"
    for pattern, found in _FORMATS:
        if re.search(pattern, said):
            return found
    raise NotPredicted(f"the precision {row.shape['precision']!r} names no format")


def recompute_of(row: Row) -> tuple[Recompute, int] | None:
    """What is computed again, and in one of how many layers; None where the row does not say.

    `selective op`, or `selective` alone: all but attention and every other product; `selective 2`:
    one layer of two; a share (fms-fsdp's `selective_checkpointing`): so many of all.
    """
    words = row.shape.get("recompute", "").lower().strip()
    if not words or words.startswith(("not stated", "see ", "unknown", "?")):
        return None
    share = re.search(r"\b1/(\d+)\b|\b0?\.(\d+)\b", words)
    if share:
        every = int(share[1]) if share[1] else round(1 / float(f"0.{share[2]}"))
        return "full", max(1, every)
    every_n = re.search(r"(?:selective|every)\D{0,16}?(\d+)\b", words)
    if every_n and "op" not in words.split():
        return "full", max(1, int(every_n[1]))
    if "every other" in words:
        return "full", 2
    if re.search(r"selective|\bsac\b|\bop\b", words):
        return "selective", 1
    if re.match(r"(none|no\b|off|false|0$|disabled|-$|without)", words):
        return "none", 1
    return "full", 1


def schedule_of(row: Row, vpp: int) -> Schedule:
    """The pipeline's schedule, by the names of torch.distributed.pipelining."""
    words = words_of(row)
    if re.search(r"zero[- ]?bubble|\bzbv\b|zbv?zero", words):
        return "zero-bubble"
    if "gpipe" in words:
        return "gpipe"
    return "interleaved" if vpp > 1 or "interleaved" in words else "1f1b"


def copies_of(row: Row, ranks: int) -> int:
    """Sets of shards: as many as the row says, or one a node where it says HSDP alone."""
    words = words_of(row)
    match = re.search(r"(?:dp_)?replicat\w*\D{0,4}(\d+)", words)
    if match:
        return int(match[1])
    node = ranks // _NODE if ranks % _NODE == 0 else 1
    return max(1, node) if re.search(r"hsdp|hybrid", words) else 1


def layout_of(row: Row, model: Model, card: Card, how: Sharded) -> Layout:
    """The layout; raises NotPredicted for what the row leaves open.

    A pipeline's weights stay gathered from the first micro-batch to the last, and gradients are
    reduced once (torchtitan's `reshard_after_forward_policy: default`): a step that shares states.
    """
    ranks = number(row, "n_devices", 1)
    tp, pp, cp = (number(row, name, 1) for name in ("tp", "pp", "cp"))
    tp, pp, cp = max(1, tp), max(1, pp), max(1, cp)
    dp = max(1, ranks // (tp * pp * cp))
    micro, batch = number(row, "micro_batch", 0), number(row, "global_batch", 0)
    if not micro and not batch:
        raise NotPredicted("the row gives neither micro_batch nor global_batch")
    micro, batch = micro or max(1, batch // dp), batch or micro * dp
    if pp > 1 and batch == micro * dp:
        micro = 1  # what a rank takes a step is cut into micro-batches of one sequence
    schedule = schedule_of(row, number(row, "vpp", 1))
    vpp = max(number(row, "vpp", 1), 2 if schedule == "interleaved" else 1)
    words = words_of(row)
    zero = 1 if pp > 1 or number(row, "ep", 1) > 1 else max(2, stage_of(row) or 3)
    offload = re.search(r"offload(?! ?[=:]? ?(false|no|off|0))", words)
    layout = Layout(
        global_batch=batch, micro_batch=micro, tp=tp, pp=pp, vpp=vpp if pp > 1 else 1, cp=cp, dp=dp,
        ep=number(row, "ep", 1), sequence_parallel=tp > 1, zero=zero,
        schedule=schedule if pp > 1 else "1f1b", precision=precision_of(row),
        overlap_gradients=True, overlap_tensor=bool(re.search(r"async[- _]?(tp|tensor)", words)),
        copies=copies_of(row, ranks) if zero > 1 else 1, offload="optimizer" if offload else "none",
    )  # fmt: skip
    said = recompute_of(row)
    if said is not None:
        return replace(layout, recompute=said[0], recompute_every=said[1])
    return _that_fits(layout, model, card, how)


def _that_fits(layout: Layout, model: Model, card: Card, how: Sharded) -> Layout:
    """The layout with as little computed again as fits the card: a run that was measured did."""
    ways: tuple[Recompute, ...] = ("none", "selective", "full")
    for way in ways:
        layout = replace(layout, recompute=way)
        if peak_of(model, layout, how).total_bytes <= float(card.memory_bytes):
            break
    return layout


def peak_of(model: Model, layout: Layout, how: Sharded) -> StageMemory:
    """The peak of the rank that needs most."""
    if layout.zero > 1:
        return sharded_memory(model, layout, how, float(model.layer_params()))
    return peak(model, layout, how)


def check_ranks(layout: Layout, ranks: int) -> None:
    """Raises NotPredicted where degrees do not multiply to the row's devices."""
    if layout.ranks != ranks:
        raise NotPredicted(
            f"tp {layout.tp} x cp {layout.cp} x dp {layout.dp} x pp {layout.pp} are not the "
            f"{ranks} devices of the row"
        )
