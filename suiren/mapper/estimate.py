"""A closed form of the tile program of a product: good for ordering candidates, not for answers.

It adds up what the simulation would find if all waves were alike and nothing overlapped but
the engines inside a wave. Terms are those of `core.timing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from suiren.core.pace import STEP_BYTES, engines_of
from suiren.core.traffic import survives
from suiren.dtype import itemsize_bytes
from suiren.hw.spec import Card
from suiren.mapper.menu import Offer


@dataclass(frozen=True, slots=True)
class Shape:
    """`batch` products [m, k] × [k, n] of one stored format; `out` is the result's."""

    batch: int
    m: int
    n: int
    k: int
    dtype: str
    out: str


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
        self.item, self.out = itemsize_bytes(shape.dtype), itemsize_bytes(shape.out)
        self.a = shape.batch * shape.m * shape.k * self.item
        self.b = shape.batch * shape.k * shape.n * self.item
        self.c = shape.batch * shape.m * shape.n * self.out
        self.cold_store = self.c * (1 - survives(self.a + self.b + self.c, card))

    def seconds(self, offer: Offer, splits: int, steps: int) -> float:
        """Time without launch; `steps` are those of one of `splits` parts."""
        shape, card, pace = self.shape, self.card, self.card.pace
        down, across = -(-shape.m // offer.tm), -(-shape.n // offer.tn)
        tiles = shape.batch * down * across * splits
        cores = int(card.cores)
        slots = cores * offer.resident
        full, rest = divmod(tiles, slots)
        read_a, read_b = self._read(offer, splits, slots, down, across)
        read = read_a + read_b
        missed = max(read_a / (self.a * across), read_b / (self.b * down))
        late = pace.l2_latency_s + card.memory_latency_s * min(1.0, missed)
        # programs that go on to their next tile load it while they finish the last one
        total = pace.pipeline_start_s if offer.fresh else late
        for waves, together, lone in ((full, slots, offer.resident), (1, rest, -(-rest // cores))):
            if waves and together:
                share = together / tiles
                total += waves * self._wave(offer, splits, steps, together, lone, share, read, late)
        if splits > 1:
            moved = 4 * splits * shape.m * shape.n + self.c
            total += pace.barrier_s + pace.l2_latency_s + pace.tile_start_s + moved / self.l2
        return total

    def _wave(
        self, offer: Offer, splits: int, steps: int, together: int, lone: int, share: float,
        read: float, late: float,
    ) -> float:  # fmt: skip
        shape, pace = self.shape, self.card.pace
        rows, cols = min(offer.tm, shape.m), min(offer.tn, shape.n)
        depth = min(1.0, shape.k / splits / (steps * offer.tk)) * offer.tk * self.item
        shared = (rows + cols) / pace.multicast if splits == 1 else rows + cols
        gm, gn, gk = self.grain
        macs = -(-offer.tm // gm) * gm * -(-offer.tn // gn) * gn * -(-offer.tk // gk) * gk
        matrix = lone * macs / self.macs_per_s
        if self.engine == "vector":
            matrix += pace.vector_step_s
        load = max(lone * (rows + cols) * depth / self.port, together * shared * depth / self.l2)
        memory = share * read / steps / self.memory
        top = max(matrix, load, memory)
        step = top + pace.overlap_loss * (matrix + load + memory - top)
        chain = pace.matrix_step_s * offer.tk * self.item / STEP_BYTES if gm > 1 else 0.0
        flow = late * (steps - 1) / max(1, offer.stages)
        main = max(steps * step, steps * chain, flow)
        result = together * rows * cols * (self.out if splits == 1 else 4)
        fixed = pace.tile_start_s + late if offer.fresh else 0.0
        time = fixed + main + result / self.write
        return max(time, share * (read + self.cold_store) / self.memory)

    def _read(
        self, offer: Offer, splits: int, slots: int, down: int, across: int
    ) -> tuple[float, float]:
        """Bytes of each operand that device memory delivers."""
        cold_a, cold_b = 1 - self.warm.get("a", 0.0), 1 - self.warm.get("b", 0.0)
        if self.a + self.b + self.c < self.card.l2_bytes * self.card.pace.l2_share:
            return self.a * cold_a, self.b * cold_b
        active = max(1.0, min(down * across, slots / splits))
        high = min(down, max(1.0, sqrt(active * offer.tn / offer.tm)))
        wide = min(across, max(1.0, active / high))
        high = min(down, max(1.0, active / wide))
        block = (high * offer.tm + wide * offer.tn) * self.shape.k * self.item
        lost = 1 - survives(block, self.card)
        lost_a, lost_b = (1 - survives(x + block, self.card) for x in (self.a, self.b))
        again_m, again_n = -(-down // int(high)) - 1, -(-across // int(wide)) - 1
        one = self.a * (cold_a + again_n * lost_a), self.b * (cold_b + again_m * lost)
        two = self.a * (cold_a + again_n * lost), self.b * (cold_b + again_m * lost_b)
        return min(one, two, key=sum)
