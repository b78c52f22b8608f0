"""The fastest kernel for a product: the menu's tiles by simulated time.

A closed form of the tile program orders the candidates (`estimate.py`); the first are
simulated, and as many more as the closed form does not rule out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from suiren.core.pace import engines_of
from suiren.core.tile import Tensor
from suiren.core.timing import Timing, time_program
from suiren.dtype import itemsize_bytes
from suiren.hw.spec import Card
from suiren.kernels.matmul import batched_nn, matmul_nn
from suiren.kernels.matmul_split import split_k_nn
from suiren.kernels.matvec import matvec_n
from suiren.mapper.estimate import Estimate, Shape
from suiren.mapper.menu import SPLITS, Offer, offers


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to compute a product."""

    offer: Offer
    splits: int
    guess_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The way that was chosen, and its time without launch."""

    kernel: str
    offer: Offer
    splits: int
    timing: Timing
    tried: int

    @property
    def seconds(self) -> float:
        """Time without launch."""
        return self.timing.seconds


#: So many candidates are simulated at least, if there are as many.
AT_LEAST = {"matrix": 6, "vector": 14}
#: The closed form is trusted to be at most this much above the simulated time.
TRUST = {"matrix": 0.95, "vector": 0.85}


def tune(
    shape: Shape, card: Card, clock: float = 1.0, warm: Mapping[str, float] | None = None
) -> Plan:
    """The fastest candidate for a product on a card."""
    best: Plan | None = None
    tried = 0
    engine = engines_of(card, clock).product_engine(shape.dtype)[0]
    least, trust = AT_LEAST[engine], TRUST[engine]
    for candidate in candidates(shape, card, clock, warm):
        if best is not None and tried >= least and candidate.guess_s * trust >= best.seconds:
            break
        timing = simulate(shape, card, candidate, clock, warm)
        tried += 1
        if best is None or timing.seconds < best.seconds:
            best = Plan("split_k" if candidate.splits > 1 else "matmul", candidate.offer,
                        candidate.splits, timing, tried)  # fmt: skip
    assert best is not None
    if shape.batch == 1 and 1 in (shape.m, shape.n):
        timing = _vector(shape, card, clock, warm)
        if timing.seconds < best.seconds:
            best = Plan("matvec", Offer(16, 1, 512, 3, 1, False), 1, timing, tried + 1)
    return Plan(best.kernel, best.offer, best.splits, best.timing, tried)


def again(plan: Plan, shape: Shape, card: Card, warm: Mapping[str, float] | None = None) -> Timing:
    """The simulated time of what was chosen for a product, on another card."""
    if plan.kernel == "matvec":
        return _vector(shape, card, 1.0, warm)
    return simulate(shape, card, Candidate(plan.offer, plan.splits, 0.0), 1.0, warm)


def candidates(
    shape: Shape, card: Card, clock: float = 1.0, warm: Mapping[str, float] | None = None
) -> list[Candidate]:
    """Every candidate, the one with the shortest estimate first."""
    estimate = Estimate(shape, card, clock, warm or {})
    found = []
    for offer in offers(card, itemsize_bytes(shape.dtype), itemsize_bytes(shape.out),
                        estimate.engine, shape.batch > 1):  # fmt: skip
        blocks = -(-shape.k // offer.tk)
        seen = set()
        for wanted in SPLITS:
            run = -(-blocks // min(wanted, blocks))
            splits = -(-blocks // run)
            if splits in seen or (splits > 1 and shape.batch > 1):
                continue
            seen.add(splits)
            found.append(Candidate(offer, splits, estimate.seconds(offer, splits, run)))
    return sorted(found, key=lambda c: c.guess_s)


def _vector(shape: Shape, card: Card, clock: float, warm: Mapping[str, float] | None) -> Timing:
    """A product with a vector on the vector engine, which reads the matrix once."""
    near = warm or {}
    if shape.m == 1:
        rows, near = shape.n, {"a": near.get("b", 0.0), "x": near.get("a", 0.0)}
    else:
        rows, near = shape.m, {"a": near.get("a", 0.0), "x": near.get("b", 0.0)}
    tensors = (Tensor("a", (rows, shape.k), shape.dtype), Tensor("x", (shape.k,), shape.dtype),
               Tensor("y", (rows,), shape.out))  # fmt: skip
    # libraries give a row to a few threads: little is under way at once
    program = matvec_n.trace(tensors, tm=8, tk=256, stages=2)
    return time_program(program, card, clock, near)


def simulate(
    shape: Shape, card: Card, candidate: Candidate, clock: float = 1.0,
    warm: Mapping[str, float] | None = None,
) -> Timing:  # fmt: skip
    """The simulated time of one candidate, launch not included."""
    offer = candidate.offer
    tensors: tuple[Tensor, ...]
    options: dict[str, object] = {
        "tm": offer.tm, "tn": offer.tn, "tk": offer.tk, "stages": offer.stages,
        "resident": offer.resident, "fresh": offer.fresh, "multicast": card.pace.multicast > 1,
        "sums": 1 if offer.fresh else 2, "buffers": 1,
    }  # fmt: skip
    m, n, k, dtype = shape.m, shape.n, shape.k, shape.dtype
    if candidate.splits > 1:
        options.pop("multicast")
        # the second phase spreads over all cores
        options["slab"] = max(1, min(16, -(-m * -(-n // offer.tn) // int(card.cores))))
        tensors = (Tensor("a", (m, k), dtype), Tensor("b", (k, n), dtype),
                   Tensor("part", (candidate.splits, m, n), "f32"),
                   Tensor("c", (m, n), shape.out))  # fmt: skip
        return time_program(split_k_nn.trace(tensors, **options), card, clock, warm)
    if shape.batch > 1:
        g = shape.batch
        tensors = (Tensor("a", (g, m, k), dtype), Tensor("b", (g, k, n), dtype),
                   Tensor("c", (g, m, n), shape.out))  # fmt: skip
        return time_program(batched_nn.trace(tensors, **options), card, clock, warm)
    tensors = (
        Tensor("a", (m, k), dtype),
        Tensor("b", (k, n), dtype),
        Tensor("c", (m, n), shape.out),
    )
    return time_program(matmul_nn.trace(tensors, **options), card, clock, warm)
