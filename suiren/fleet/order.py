"""Which pass follows which in a pipeline, as numbers: what many pipelines of one shape share.

Passes of a stage are numbered as the schedule takes them: forward pass n and backward pass n of
p stages with v chunks belong to micro-batch n // (p v) p + n % p and chunk n % (p v) // p (counted
from the other end backward). A pass waits for the one before it on its stage, and for a message
from the stage beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]
#: Rows of a table of ends that stand for "at the start" and "no message".
START, NO_MESSAGE = 0, 1


@dataclass(frozen=True, eq=False)
class Order:
    """Passes by levels: those of a level wait for lower levels only, at most one a stage."""

    levels: Index
    """Where each level begins, and the end; passes are numbered from 2."""
    before: Index
    """[passes] The pass before it on its stage."""
    sender: Index
    """[passes] The pass whose message it waits for."""
    stage: Index
    chunk: Index
    backward: Index
    """[passes] 0 or 1."""
    by_stage: Index
    """[p, 2 n] Passes in the order in which each stage takes them."""
    forward_at: Index
    """[p, n] Number of the forward pass n of a stage."""
    backward_at: Index
    ahead: Index
    """[p] Forward passes before the first backward pass."""
    all_ahead: bool
    """Whether all forward passes come first."""

    @property
    def passes(self) -> int:
        """All passes."""
        return len(self.before)


@lru_cache(maxsize=256)
def order_of(p: int, v: int, micro_batches: int, all_ahead: bool) -> Order:
    """The order of p stages with v chunks; `all_ahead`: all forward passes come first.

    The same as `pipeline.orders`, which a test holds.
    """
    n = micro_batches * v
    s, k = np.arange(p)[:, None], np.arange(n)[None, :]
    free = (p - 1 - s) if v == 1 else (p - 1 - s) * 2 + (v - 1) * p
    ahead = np.full_like(free, n) if all_ahead else np.minimum(n, free)
    place_f = np.where(k <= ahead, k, 2 * k - ahead)
    place_b = np.where(k + ahead < n, 2 * k + ahead + 1, n + k)
    if all_ahead:
        level_f, level_b = k + s, n + 2 * p + k - s
    else:  # later stages start later, but not so late that the first one would wait for them
        lag = (1 if v == 1 else 2) * s
        level_f, level_b = 2 * k + lag, 2 * (k + free) + lag + 1
    stage = np.broadcast_to(s, (p, n)).ravel()
    number = np.broadcast_to(k, (p, n)).ravel()
    level = np.concatenate([level_f.ravel(), level_b.ravel()])
    turn = np.argsort(level, kind="stable")
    numbers = np.empty(2 * p * n, np.intp)
    numbers[turn] = np.arange(2, 2 + 2 * p * n)
    forward_at, backward_at = numbers[: p * n].reshape(p, n), numbers[p * n :].reshape(p, n)
    by_stage = np.empty((p, 2 * n), np.intp)
    np.put_along_axis(by_stage, place_f, forward_at, 1)
    np.put_along_axis(by_stage, place_b, backward_at, 1)
    before, sender = np.empty(2 + 2 * p * n, np.intp), np.empty(2 + 2 * p * n, np.intp)
    before[by_stage[:, 0]] = START
    before[by_stage[:, 1:]] = by_stage[:, :-1]
    sender[forward_at], sender[backward_at] = _senders(p, v, forward_at, backward_at)
    chunk = number % (p * v) // p
    starts = np.flatnonzero(np.diff(level[turn], prepend=-1))
    return Order(
        np.append(starts, 2 * p * n) + 2, before[2:], sender[2:],
        np.concatenate([stage, stage])[turn],
        np.concatenate([chunk, v - 1 - chunk])[turn], (turn >= p * n).astype(np.intp),
        by_stage, forward_at, backward_at, ahead[:, 0], all_ahead,
    )  # fmt: skip


def _senders(p: int, v: int, forward_at: Index, backward_at: Index) -> tuple[Index, Index]:
    """The passes whose messages the forward and backward passes wait for.

    The last chunk's backward pass follows its own forward pass on the same stage: no message.
    """
    n = forward_at.shape[1]
    later = np.arange(n) % (p * v) // p > 0
    forward, backward = np.full_like(forward_at, NO_MESSAGE), np.full_like(backward_at, NO_MESSAGE)
    forward[1:], backward[:-1] = forward_at[:-1], backward_at[1:]
    if v > 1:
        back = np.arange(n)[later] - p
        forward[0, later] = forward_at[p - 1, back]
        backward[p - 1, later] = backward_at[0, back]
    return forward, backward
