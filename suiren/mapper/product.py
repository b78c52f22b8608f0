"""The programs of a product's candidates: traced from the library's kernels and simulated."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from suiren.core.pace import Engines, engines_of
from suiren.core.phase import phases
from suiren.core.program import Program
from suiren.core.tile import Tensor
from suiren.core.timing import Timing, time_program
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.kernels.matmul import batched_nn, matmul_nn
from suiren.kernels.matmul_split import split_k_nn
from suiren.mapper.candidate import Candidate, Candidates, Shape
from suiren.mapper.menu import Offer
from suiren.mapper.waves import Bodies, Body, body_of

#: A split product's second phase has at most as many parts under way (kernels/matmul_split.py).
MOST_PARTS = 16


def simulate(
    shape: Shape, card: Card, candidate: Candidate, clock: float = 1.0,
    warm: Mapping[str, float] | None = None,
) -> Timing:  # fmt: skip
    """The simulated time of one candidate, launch not included."""
    program = program_of(shape, card, candidate.offer, candidate.splits)
    return time_program(program, card, clock, warm)


def program_of(shape: Shape, card: Card, offer: Offer, splits: int) -> Program:
    """The kernel of a candidate for its sizes."""
    return _program(shape, offer, splits, card.pace.multicast > 1, int(card.cores))


@lru_cache(maxsize=512)
def _program(shape: Shape, offer: Offer, splits: int, multicast: bool, cores: int) -> Program:
    """Remembered: cards that differ in a fact or two take the same program."""
    options: dict[str, object] = {
        "tm": offer.tm, "tn": offer.tn, "tk": offer.tk, "stages": offer.stages,
        "resident": offer.resident, "fresh": offer.fresh, "multicast": multicast,
        "sums": 1 if offer.fresh else 2, "buffers": 1,
    }  # fmt: skip
    m, n, k, dtype = shape.m, shape.n, shape.k, shape.dtype
    lead = (shape.batch,) if shape.batch > 1 else ()
    a, b = Tensor("a", (*lead, m, k), dtype), Tensor("b", (*lead, k, n), dtype)
    c = Tensor("c", (*lead, m, n), shape.out)
    if splits > 1:
        options.pop("multicast")
        # the second phase spreads over all cores
        options["slab"] = max(1, min(16, -(-m * -(-n // offer.tn) // cores)))
        return split_k_nn.trace((a, b, Tensor("part", (splits, m, n), "f32"), c), **options)
    return (batched_nn if lead else matmul_nn).trace((a, b, c), **options)


def bodies_of(shape: Shape, engines: Engines, ways: Candidates) -> Bodies:
    """The bodies of each candidate's grids, by its place."""
    held, batch, formats = Held(engines.card), min(2, shape.batch), (shape.dtype, shape.out)

    def of(at: int) -> tuple[Body, ...]:
        offer, splits = ways.offers[at], min(int(ways.splits[at]), MOST_PARTS)
        return _traced(held, engines.clock, batch, formats, (offer.stages, offer.fresh), splits)

    return of


@lru_cache(maxsize=4096)
def _traced(
    held: Held, clock: float, batch: int, formats: tuple[str, str], built: tuple[int, bool],
    splits: int,
) -> tuple[Body, ...]:  # fmt: skip
    """The bodies of a kernel's grids; sizes of tensors and tiles do not change them.

    `built` is the offer's stages, and whether its tiles begin anew.
    """
    shape = Shape(batch, 16, 16, 16 * splits, *formats)
    program = program_of(shape, held.card, Offer(16, 16, 16, built[0], 1, built[1]), splits)
    engines, buffers = engines_of(held.card, clock), tuple(t.buffers for t in program.tiles)
    return tuple(body_of(phase, buffers, engines) for phase in phases(program, held.card))
