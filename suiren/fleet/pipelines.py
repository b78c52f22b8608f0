"""Many pipelines of one shape at once: the ends of their schedules, exactly.

The passes of a level are worked out for all pipelines together. Where passes near the end of the
even part come back shifted alike, they do so for ever after (the schedule is max-plus linear and
looks back no further than that), and the rest is a multiplication. Picoseconds are whole numbers
in 64-bit floats, exact up to 9,000 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.order import NO_MESSAGE, START, Order, order_of
from suiren.units import PS_PER_S

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
#: Bytes of a table of ends worked on at once: more would leave the processor's caches.
_TABLE_BYTES = 8 << 20
_NEVER = -1e300
#: Rounds run before they are looked at: [of each stage, besides] with one chunk, with several.
FEW = (1, 4, 3)


@dataclass(frozen=True, eq=False)
class Pipelines:
    """Pipelines of p stages with v chunks whose passes are of a few kinds.

    Times are [kinds, rows] in seconds.
    """

    kind: NDArray[np.intp]
    """[p, v] Kind of each chunk."""
    forward_s: Floats
    backward_s: Floats
    send_s: Floats
    weight_share: Floats
    """[rows] Part of a backward pass that `zero-bubble` moves; 0 where nothing is moved."""
    micro_batches: NDArray[np.int64]
    gpipe: NDArray[np.bool_]

    def select(self, rows: Rows) -> Pipelines:
        """Some of the rows."""
        return Pipelines(
            self.kind, self.forward_s[:, rows], self.backward_s[:, rows], self.send_s[rows],
            self.weight_share[rows], self.micro_batches[rows], self.gpipe[rows],
        )  # fmt: skip


def pipelines_s(of: Pipelines) -> Floats:
    """Seconds from the first pass to the end of the last, each row as `pipeline.pipeline_s`."""
    p, v = of.kind.shape
    found = np.empty(len(of.send_s))
    if p == 1 and v == 1:
        work_s = of.forward_s[0] + of.backward_s[0]
        return np.asarray(of.micro_batches * work_s)
    unit = p if v > 1 else 1
    rounds = of.micro_batches // unit
    gpipe = np.flatnonzero(of.gpipe)
    if v == 1:
        found[gpipe] = _flow_line(of.select(gpipe))
    else:
        _even(of, gpipe, rounds, True, found)
        # a single round is run as gpipe does
        _run(of, np.flatnonzero(~of.gpipe & (rounds == 1)), rounds, True, found)
    _even(of, np.flatnonzero(~of.gpipe & ((rounds > 1) | (v == 1))), rounds, False, found)
    return found / PS_PER_S


def _flow_line(of: Pipelines) -> Floats:
    """All forward passes, then all backward ones, through stages of one chunk: a closed form.

    Micro-batch k leaves a line of stages at the sum of their times plus k times the longest.
    """
    kinds = of.kind[:, 0]
    forward, backward = _ps(of.forward_s), _ps(of.backward_s)
    once = sum(forward[n] + backward[n] for n in kinds) + 2 * (len(kinds) - 1) * _ps(of.send_s)
    longest = forward[kinds].max(0) + backward[kinds].max(0)
    total: Floats = once + (of.micro_batches - 1) * longest
    return total


def _run(
    of: Pipelines, rows: Rows, rounds: NDArray[np.int64], all_ahead: bool, found: Floats
) -> None:
    """Ends of whole schedules, rows of equally many rounds together."""
    p, v = of.kind.shape
    unit = p if v > 1 else 1
    for many in np.unique(rounds[rows]):
        order = order_of(p, v, int(many) * unit, all_ahead)
        for some in _portions(rows[rounds[rows] == many], order):
            found[some] = _Run(order, of.select(some)).end()


def _even(
    of: Pipelines, rows: Rows, rounds: NDArray[np.int64], all_ahead: bool, found: Floats
) -> None:
    """Schedules with an even part in the middle: run until that repeats."""
    p, v = of.kind.shape
    few = FEW[0] * p + FEW[1] if v == 1 else FEW[2]
    while len(rows):
        short = rounds[rows] < few
        _run(of, rows[short], rounds, all_ahead, found)
        rows = rows[~short]
        if not len(rows):
            break
        order = order_of(p, v, few * (p if v > 1 else 1), all_ahead)
        left = [_repeated(of, some, order, rounds, found) for some in _portions(rows, order)]
        rows = np.concatenate([np.empty(0, np.intp), *left])
        few *= 2


def _repeated(
    of: Pipelines, rows: Rows, order: Order, rounds: NDArray[np.int64], found: Floats
) -> Rows:
    """Works out the rows whose passes repeat within the order's rounds; returns the others."""
    p, v = of.kind.shape
    unit, period = (p, p * v) if v > 1 else (1, 1)
    few = order.forward_at.shape[1] // period
    run = _Run(order, of.select(rows))
    exact = np.flatnonzero(rounds[rows] == few)
    found[rows[exact]] = run.end(exact)
    length, added = run.repeats(period)
    length[exact] = -1
    for one in np.unique(length[length > 0]):
        more = (rounds[rows] - few) % one
        for extra in np.unique(more[length == one]):
            those = np.flatnonzero((length == one) & (more == extra))
            again, part = run, those
            if extra:
                longer = order_of(p, v, (few + int(extra)) * unit, order.all_ahead)
                again, part = _Run(longer, of.select(rows[those])), np.arange(len(those))
            times = (rounds[rows[those]] - few - extra) // one
            found[rows[those]] = again.end(part, times, added[those], int(one) * period)
    return np.asarray(rows[length == 0])


def _portions(rows: Rows, order: Order) -> list[Rows]:
    """The rows in portions whose tables stay small."""
    most = max(16, _TABLE_BYTES // (8 * (order.passes + 2)))
    return [rows[n : n + most] for n in range(0, len(rows), most)]


def _ps(seconds: Floats) -> Floats:
    return np.rint(seconds * PS_PER_S)


class _Run:
    """Passes of some pipelines that all follow one order, and when each ends."""

    def __init__(self, order: Order, of: Pipelines) -> None:
        self.order = order
        backward = _ps(of.backward_s)
        later = np.rint(backward * of.weight_share)
        self.moves = of.weight_share > 0
        self.later = np.concatenate([np.zeros_like(later), later])
        self.takes = np.concatenate([_ps(of.forward_s), backward - later])
        self.what = of.kind[order.stage, order.chunk] + len(later) * order.backward
        any_moves = bool(self.moves.any())
        self.gaps = np.empty((order.passes if any_moves else 0, len(self.moves)))
        self.ends = self._ends(_ps(of.send_s), any_moves)

    def _ends(self, send: Floats, keeps_gaps: bool) -> Floats:
        """[2 + passes, rows] Picoseconds at which each pass ends, level by level."""
        order, rows = self.order, len(send)
        ends = np.empty((order.passes + 2, rows))
        ends[START], ends[NO_MESSAGE] = 0.0, _NEVER
        widest = int(np.diff(order.levels).max())
        ready, other = np.empty((widest, rows)), np.empty((widest, rows))
        # few rows make small arrays: the calls count, not the numbers
        end_of, takes, add, most = ends.take, self.takes.take, np.add, np.maximum
        sender, before, what = order.sender, order.before, self.what
        for low, high in pairwise(order.levels.tolist()):
            now, then = ready[: high - low], other[: high - low]
            end_of(sender[low - 2 : high - 2], 0, now, "clip")
            add(now, send, out=now)
            end_of(before[low - 2 : high - 2], 0, then, "clip")
            most(now, then, out=now)
            if keeps_gaps:
                np.subtract(now, then, out=self.gaps[low - 2 : high - 2])
            takes(what[low - 2 : high - 2], 0, then, "clip")
            add(now, then, out=ends[low:high])
        return ends

    def repeats(self, period: int) -> tuple[NDArray[np.int64], Floats]:
        """Per row after how many rounds (0: unknown) passes come back shifted, and by how much.

        Compared are the last passes of the even part, as many as later ones look back at: p of
        each stage and way with chunks, because a chunk's message comes from p passes before. Where
        all forward passes come first, each way is even by itself and both shifts count.
        """
        order = self.order
        stages, n = order.forward_at.shape
        wide = stages + 1 if period > 1 else 2
        s, last = np.arange(stages)[:, None], np.arange(-wide, 0)[None, :]
        forward = n + last + 0 * s
        backward = forward if order.all_ahead else n - order.ahead[:, None] + last
        length = np.zeros(self.ends.shape[1], np.int64)
        added = np.zeros(self.ends.shape[1])
        still = np.arange(self.ends.shape[1])
        for one in range(1, int(backward.min()) // period + 1):
            back = one * period
            shift = [
                self.ends[at[s, k].ravel()][:, still] - self.ends[at[s, k - back].ravel()][:, still]
                for at, k in ((order.forward_at, forward), (order.backward_at, backward))
            ]
            parts = shift if order.all_ahead else [np.concatenate(shift)]
            alike = np.all([(part == part[0]).all(0) for part in parts], axis=0)
            length[still[alike]] = one
            added[still[alike]] = sum(part[0, alike] for part in parts)
            still = still[~alike]
            if not len(still):
                break
        return length, added

    def end(
        self, rows: Rows | None = None, times: NDArray[np.int64] | None = None,
        added: Floats | None = None, period: int = 0,
    ) -> Floats:  # fmt: skip
        """When the last stage is done, `period` passes run `times` more, `added` longer each."""
        rows = np.arange(self.ends.shape[1]) if rows is None else rows
        times = np.zeros(len(rows), np.int64) if times is None else times
        longer = times * (0.0 if added is None else added)
        last = self.ends[self.order.by_stage[:, -1]][:, rows]
        moves = np.flatnonzero(self.moves[rows])
        if len(moves):
            last[:, moves] += self._owed(rows[moves], times[moves], period)
        total: Floats = last.max(0) + longer
        return total

    def _owed(self, rows: Rows, times: NDArray[np.int64], period: int) -> Floats:
        """[stages, rows] Weights' gradients that no gap took, when each stage has nothing else.

        A stage owes `later` with every backward pass and works off what a gap before it leaves: a
        queue, whose end is the sum of all steps less the least of its sums on the way, or 0.
        """
        order = self.order
        passes = order.by_stage - 2
        steps = self.later[self.what[passes]][..., rows] - self.gaps[passes][..., rows]
        sums = np.cumsum(steps, 1)
        owed = np.empty((len(passes), len(rows)))
        for s, of in enumerate(sums):
            if not period or not times.any():
                owed[s] = of[-1] - np.minimum(0.0, of.min(0))
                continue
            cut = passes.shape[1] - int(order.ahead[s]) - 1
            grows = times * (of[cut] - of[cut - 2 * period])
            before = np.minimum(0.0, of[: cut + 1].min(0))
            inside = of[cut - 2 * period + 1 : cut + 1].min(0) + np.minimum(0.0, grows)
            tail = of[cut + 1 :].min(0, initial=np.inf) + grows
            owed[s] = of[-1] + grows - np.minimum(before, np.minimum(inside, tail))
        return owed
