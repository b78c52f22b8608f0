"""Forward and backward passes of many layouts: clocks, stages and pipelines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.columns import CODES, Layouts
from suiren.fleet.costs import Floats, at_clock, clock_of, device_s, dynamic_j, seconds
from suiren.fleet.known import Known, distinct
from suiren.fleet.many_memory import shapes
from suiren.fleet.pipelines import Pipelines, pipelines_s
from suiren.fleet.shape import Shape

Index = NDArray[np.intp]
_GPIPE, _ZERO_BUBBLE = (CODES["schedule"].index(name) for name in ("gpipe", "zero-bubble"))
_FULL = CODES["recompute"].index("full")


@dataclass(frozen=True, eq=False)
class Passes:
    """Columns [rows]."""

    seconds: Floats
    """From the first pass to the end of the last."""
    clock: Floats
    power_w: Floats
    most: Index
    """The stage with most work, and what it works forward and backward for a micro-batch."""
    forward_s: Floats
    backward_s: Floats
    dynamic_j: Floats
    """What all passes of all stages take beyond idle power, on a rank of each."""

    def of(self, rows: Index) -> Passes:
        """Some of the rows."""
        return Passes(*(getattr(self, name)[rows] for name in Passes.__dataclass_fields__))


def passes_of(rows: Layouts, known: Known) -> Passes:
    """The passes of every row; rows that differ only in what follows them are worked out once."""
    pieces, share = known.pieces(rows)
    found, shape = shapes(rows, known.job.model)
    send, message = known.messages(rows)
    first, place = distinct([shape, share, rows.schedule, rows.micro_batches, message])
    those = rows.select(first)
    parts = []
    order = np.argsort(shape[first], kind="stable")
    starts = np.searchsorted(shape[first][order], np.arange(len(found) + 1))
    for one, low, high in zip(found, starts[:-1], starts[1:], strict=True):
        here = order[low:high]
        mine, at = np.unique(share[first[here]], return_inverse=True)
        kinds = _kinds(one, pieces[..., mine])
        parts.append(_of_shape(one, those.select(here), kinds, at, send[message[first[here]]],
                               known))  # fmt: skip
    columns = [np.concatenate([getattr(part, name) for part in parts])
               for name in Passes.__dataclass_fields__]  # fmt: skip
    back = np.empty(len(order), np.intp)
    back[order] = np.arange(len(order))
    return Passes(*columns).of(back[place])


def _kinds(shape: Shape, pieces: Floats) -> list[tuple[Floats, Floats]]:
    """Cost of a chunk of each kind, forward and backward; [numbers, shares]."""
    dense, mixed, cross, embedding, head = pieces
    found = []
    for plain, mixtures, crossing, begins, ends in shape.contents:
        ways = []
        for way in range(2):
            total = plain * dense[way]
            if mixtures:
                total = total + mixtures * mixed[way]
            if crossing:
                total = total + crossing * cross[way]
            if begins:
                total = total + embedding[way]
            if ends:
                total = total + head[way]
            ways.append(total)
        found.append((ways[0], ways[1]))
    return found


def _of_shape(
    shape: Shape, rows: Layouts, kinds: list[tuple[Floats, Floats]], share: Index, send_s: Floats,
    known: Known,
) -> Passes:  # fmt: skip
    """Passes of rows whose pipelines have one shape; `share`: the place of each among `kinds`."""
    clock, power_w = _clock(shape, rows, kinds, share, known)
    m = rows.micro_batches.astype(np.int64)
    counts = np.bincount(shape.kind.ravel(), minlength=len(kinds))
    floor = float(known.job.cluster.card.pace.voltage_floor)
    paced = [tuple(at_clock(way[:, share], clock, floor) for way in both) for both in kinds]
    joules = m * sum(n * (dynamic_j(f) + dynamic_j(b))
                     for n, (f, b) in zip(counts, paced, strict=True))  # fmt: skip
    if shape.pp == 1:
        forward, backward = paced[0]
        if known.job.framework.waits:
            forward_s, backward_s = seconds(forward), seconds(backward)
        else:
            whole = seconds(forward + backward)
            ahead, behind = device_s(forward), device_s(backward)
            part = ahead / np.maximum(1e-12, ahead + behind)
            forward_s, backward_s = whole * part, whole * (1 - part)
        most = np.zeros(len(rows), np.intp)
        work = forward_s + backward_s
        return Passes(m * work, clock, power_w, most, forward_s, backward_s, joules)
    blocked = send_s if known.job.framework.blocking_sends else np.zeros_like(send_s)
    forward = np.stack([seconds(f) + blocked * (not held[4])
                        for held, (f, _) in zip(shape.contents, paced, strict=True)])  # fmt: skip
    backward = np.stack([seconds(b) + blocked * (not held[3])
                         for held, (_, b) in zip(shape.contents, paced, strict=True)])  # fmt: skip
    ways = [[sum(way[kind] for kind in shape.kind[stage]) for stage in shape.stages]
            for way in (forward, backward)]  # fmt: skip
    ahead, behind = np.array(ways)
    heavy = np.argmax(ahead + behind, 0)
    share_moved = np.where(rows.recompute == _FULL, 1 / 3, 0.5)
    total = pipelines_s(Pipelines(
        shape.kind, forward, backward,
        np.zeros_like(send_s) if known.job.framework.blocking_sends else send_s,
        np.where(rows.schedule == _ZERO_BUBBLE, share_moved, 0.0), m, rows.schedule == _GPIPE,
    ))  # fmt: skip
    at = (heavy, np.arange(len(rows)))
    return Passes(total, clock, power_w, np.array(shape.stages)[heavy], ahead[at], behind[at],
                  joules)  # fmt: skip


def _clock(
    shape: Shape, rows: Layouts, kinds: list[tuple[Floats, Floats]], share: Index, known: Known
) -> tuple[Floats, Floats]:
    """The clock of the stage that draws most, and its watts."""
    m, p, v = rows.micro_batches, shape.pp, shape.vpp
    longer = 1 + (p - 1) / (v * m)
    both = [forward + backward for forward, backward in kinds]
    clocks, powers = [], []
    for stage in shape.stages:
        cost = sum((both[kind] for kind in shape.kind[stage][1:]), both[shape.kind[stage][0]])
        clock, power = clock_of(cost[:, share], seconds(cost)[share] * longer,
                                known.job.cluster.card)  # fmt: skip
        clocks.append(clock)
        powers.append(power)
    return np.min(clocks, 0), np.max(powers, 0)
