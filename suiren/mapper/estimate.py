"""A closed form of the tile program of a product: good for ordering candidates, not for answers.

It adds up what the simulation would find if all waves were alike and nothing overlapped but
the engines inside a wave. Terms are those of `core.timing`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from suiren.core.pace import engines_of, step_s
from suiren.core.traffic import survives
from suiren.dtype import moved_bytes
from suiren.hw.spec import Card
from suiren.mapper.candidate import Candidates, Floats, Ints, Shape, ceil_div


class Estimate:
    """Closed-form times of one product's candidates on a card."""

    def __init__(self, shape: Shape, card: Card, clock: float, warm: Mapping[str, float]) -> None:
        self.shape, self.card, self.warm = shape, card, warm
        engines = engines_of(card, clock)
        self.engine, self.macs_per_s = engines.product_engine(shape.dtype)
        self.grain = card.chip.tile_mnk if self.engine == "matrix" else (1, 1, 1)
        pace, inf = card.pace, float("inf")
        self.port = pace.port_bytes_per_cycle * engines.matrix_hz
        self.l2 = card.l2_bytes_per_s * pace.l2_efficiency or inf
        self.memory = card.memory_bytes_per_s * card.memory_efficiency or inf
        self.write = card.l2_bytes_per_s * pace.store_share or inf
        self.item, self.out = moved_bytes(shape.dtype), moved_bytes(shape.out)
        self.a = shape.batch * shape.m * shape.k * self.item
        self.b = shape.batch * shape.k * shape.n * self.item
        self.c = shape.batch * shape.m * shape.n * self.out
        self.cold_store = self.c * (1 - survives(self.a + self.b + self.c, card))

    def seconds(self, ways: Candidates) -> Floats:
        """Time of each candidate without launch."""
        shape, card, pace = self.shape, self.card, self.card.pace
        down, across = ceil_div(shape.m, ways.tm), ceil_div(shape.n, ways.tn)
        tiles = shape.batch * down * across * ways.splits
        cores = int(card.cores)
        slots = cores * ways.resident
        full, rest = tiles // slots, tiles % slots
        read_a, read_b = self._read(ways, slots, down, across)
        read = read_a + read_b
        missed = np.maximum(read_a / (self.a * across), read_b / (self.b * down))
        late = pace.l2_latency_s + card.memory_latency_s * np.minimum(1.0, missed)
        # programs that go on to their next tile load it while they finish the last one
        total = np.where(ways.fresh, float(pace.pipeline_start_s), late)
        for waves, together, lone in ((full, slots, ways.resident),
                                      (rest > 0, rest, ceil_div(rest, cores))):  # fmt: skip
            share = together / tiles
            wave = self._wave(ways, together, lone, share, read, late)
            total = np.where(waves > 0, total + waves * wave, total)
        moved = 4 * ways.splits * shape.m * shape.n + self.c
        more = pace.barrier_s + pace.l2_latency_s + pace.tile_start_s + moved / self.l2
        return np.where(ways.splits > 1, total + more, total)

    def _wave(
        self, ways: Candidates, together: Ints, lone: Ints, share: Floats, read: Floats,
        late: Floats,
    ) -> Floats:  # fmt: skip
        shape, pace, steps = self.shape, self.card.pace, ways.steps
        rows, cols = np.minimum(ways.tm, shape.m), np.minimum(ways.tn, shape.n)
        depth = np.minimum(1.0, shape.k / ways.splits / (steps * ways.tk)) * ways.tk * self.item
        spread = np.where(ways.splits == 1, float(pace.multicast), 1.0)
        shared = (rows + cols) / spread
        gm, gn, gk = self.grain
        macs = ceil_div(ways.tm, gm) * gm * ceil_div(ways.tn, gn) * gn
        matrix = lone * (macs * ceil_div(ways.tk, gk) * gk) / self.macs_per_s
        if self.engine == "vector":
            matrix = matrix + pace.vector_step_s
        load = np.maximum(lone * (rows + cols) * depth / self.port,
                          together * shared * depth / self.l2)  # fmt: skip
        memory = share * read / steps / self.memory
        top = np.maximum(np.maximum(matrix, load), memory)
        step = top + pace.overlap_loss * (matrix + load + memory - top)
        chain = step_s(shape.dtype, self.card) * ways.tk if gm > 1 else 0.0
        flow = late * (steps - 1) / np.maximum(1, ways.stages)
        main = np.maximum(np.maximum(steps * step, steps * chain), flow)
        result = together * rows * cols * np.where(ways.splits == 1, self.out, 4)
        fixed = np.where(ways.fresh, pace.tile_start_s + late, 0.0)
        time = fixed + main + result / self.write
        slowest: Floats = np.maximum(time, share * (read + self.cold_store) / self.memory)
        return slowest

    def _read(
        self, ways: Candidates, slots: Ints, down: Ints, across: Ints
    ) -> tuple[Floats, Floats]:
        """Bytes of each operand that device memory delivers."""
        cold_a, cold_b = 1 - self.warm.get("a", 0.0), 1 - self.warm.get("b", 0.0)
        if self.a + self.b + self.c < self.card.l2_bytes * self.card.pace.l2_share:
            same = np.ones(len(ways))
            return self.a * cold_a * same, self.b * cold_b * same
        active = np.maximum(1.0, np.minimum(down * across, slots / ways.splits))
        high = np.minimum(down, np.maximum(1.0, np.sqrt(active * ways.tn / ways.tm)))
        wide = np.minimum(across, np.maximum(1.0, active / high))
        high = np.minimum(down, np.maximum(1.0, active / wide))
        block = (high * ways.tm + wide * ways.tn) * self.shape.k * self.item
        lost = 1 - survive(block, self.card)
        lost_a, lost_b = (1 - survive(x + block, self.card) for x in (self.a, self.b))
        again_m = ceil_div(down, high.astype(np.int64)) - 1
        again_n = ceil_div(across, wide.astype(np.int64)) - 1
        one = self.a * (cold_a + again_n * lost_a), self.b * (cold_b + again_m * lost)
        two = self.a * (cold_a + again_n * lost), self.b * (cold_b + again_m * lost_b)
        first = one[0] + one[1] <= two[0] + two[1]
        return np.where(first, one[0], two[0]), np.where(first, one[1], two[1])


def survive(demand_bytes: Floats, card: Card) -> Floats:
    """`core.traffic.survives` of many demands."""
    holds = card.l2_bytes * card.pace.l2_share
    if not holds:
        return np.zeros(len(demand_bytes))
    share = 1 - (demand_bytes / holds - 1) / card.pace.l2_softness
    return np.minimum(1.0, np.maximum(0.0, share))
