"""Layouts of a job to try on so many cards: what is given is kept, what is left out is searched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from suiren.centre.tables import JobTable
from suiren.fleet.framework import Framework
from suiren.fleet.layout import BadLayout, Layout, Recompute
from suiren.fleet.memory import peak
from suiren.fleet.model import Model

#: Pipeline stages that are tried at most where none are given.
_MOST_STAGES = 64
_MICRO_BATCHES = (1, 2)
_RECOMPUTE: tuple[Recompute, ...] = ("none", "selective", "full")


def layouts(job: JobTable, model: Model, cards: int, cards_per_node: int) -> Iterator[Layout]:
    """Every layout that the job allows on at most `cards` cards and that a job could run.

    Data parallel ranks fill the cards as far as the global batch divides among them. Where tensor
    ranks are left out, powers of two within a node are tried; stages: divisors of the layers.
    """
    given = job.layout
    tps = _many(given.tp) or [t for t in _powers(cards_per_node) if model.heads % t == 0]
    pps = _many(given.pp) or _stages(model, given.zero)
    micro = _many(given.micro_batch) or list(_MICRO_BATCHES)
    again = [given.recompute] if given.recompute else list(_RECOMPUTE)
    for tp, pp, vpp, cp, ep, size, how in product(
        tps, pps, _many(given.vpp), _many(given.cp), _many(given.ep), micro, again
    ):
        for dp in _many(given.dp) or _widest(job, cards // (tp * pp * cp), size, pp * (vpp > 1)):
            layout = Layout(
                global_batch=job.global_batch or 1, micro_batch=size, tp=tp, pp=pp, vpp=vpp, cp=cp,
                ep=ep, dp=dp, sequence_parallel=tp > 1, zero=given.zero, recompute=how,
                precision=job.precision, schedule="interleaved" if vpp > 1 else "1f1b",
                overlap_gradients=True, overlap_tensor=True,
            )  # fmt: skip
            try:
                layout.check(model, cards)
            except BadLayout:
                continue
            yield layout


def reason(job: JobTable, model: Model, cards: int) -> str:
    """Why no layout is possible, of the first that was asked for."""
    given = job.layout

    def first(degrees: int | list[int] | None) -> int:
        return (_many(degrees) or [1])[0]

    layout = Layout(
        global_batch=job.global_batch or 1, zero=given.zero, tp=first(given.tp),
        pp=first(given.pp), vpp=first(given.vpp), cp=first(given.cp), ep=first(given.ep),
        dp=first(given.dp), micro_batch=first(given.micro_batch),
    )  # fmt: skip
    try:
        layout.check(model, cards)
    except BadLayout as problem:
        return str(problem).removeprefix("impossible layout: ")
    return f"no layout fits {cards:,} cards and a global batch of {job.global_batch:,}"


def fitting(
    found: Iterator[Layout], model: Model, framework: Framework, memory_bytes: float
) -> tuple[list[Layout], tuple[float, Layout] | None]:
    """Layouts whose peak fits, and the nearest that does not: (bytes, layout).

    Of layouts that differ in recomputation alone, the one that computes least again is kept.
    """
    fits: dict[Layout, Layout] = {}
    nearest: tuple[float, Layout] | None = None
    for layout in found:
        same = replace(layout, recompute="none")
        if same in fits:
            continue
        needed = peak(model, layout, framework).total_bytes
        if needed <= memory_bytes:
            fits[same] = layout
        elif nearest is None or needed < nearest[0]:
            nearest = needed, layout
    return list(fits.values()), nearest


def widths(job: JobTable, layout: Layout) -> list[int]:
    """Every number of data parallel ranks that the global batch allows beside this layout."""
    most = layout.global_batch // layout.micro_batch
    return [dp for dp in range(1, most + 1)
            if _divides(job, dp, layout.micro_batch, layout.pp * (layout.vpp > 1))]  # fmt: skip


def _widest(job: JobTable, most: int, micro_batch: int, stages: int) -> list[int]:
    for dp in range(min(most, (job.global_batch or 1) // micro_batch), 0, -1):
        if _divides(job, dp, micro_batch, stages):
            return [dp]
    return []


def _divides(job: JobTable, dp: int, micro_batch: int, stages: int) -> bool:
    passes, left = divmod(job.global_batch or 1, dp * micro_batch)
    return left == 0 and passes > 0 and (stages == 0 or passes % stages == 0)


def _many(given: int | list[int] | None) -> list[int]:
    return [] if given is None else [given] if isinstance(given, int) else list(given)


def _powers(most: int) -> list[int]:
    return [2**n for n in range(most.bit_length()) if 2**n <= most]


def _stages(model: Model, zero: int) -> list[int]:
    if zero >= 2:
        return [1]
    return [n for n in range(1, min(model.layers, _MOST_STAGES) + 1) if model.layers % n == 0]
