"""Changes a user could make, each simulated on the same card, best first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from suiren.advise import host, rewrite
from suiren.advise.asked import Asked, asked_of, period_s
from suiren.advise.autocast import use_bf16
from suiren.advise.fit import fit
from suiren.advise.padding import odd_sizes, pad
from suiren.hw.spec import Card
from suiren.mapper.memory import MemoryUse
from suiren.trace.program import Kind, Program, Step
from suiren.units import show_bytes

#: A gain below this is not worth a user's time, percent.
SMALLEST_GAIN_PERCENT = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """One change and what it would bring."""

    name: str
    how: str
    """What to write in the script."""
    step_time_s: float
    """Time of the changed step, per unchanged batch."""
    gain_percent: float
    """How much more work per second."""
    caution: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    how: str
    asked: Asked | None
    caution: str = ""
    batches: int = 1


def changes(program: Program, step: Step, card: Card, memory: MemoryUse) -> list[Change]:
    """Every change that helps, best first."""
    asked = asked_of(program, step)
    now_s = period_s(asked, card)
    found = []
    for candidate in _candidates(program, step, asked, card, memory):
        if candidate.asked is None or now_s <= 0:
            continue
        seconds = period_s(candidate.asked, card) / candidate.batches
        gain = 100 * (now_s / seconds - 1) if seconds > 0 else 0.0
        if gain >= SMALLEST_GAIN_PERCENT:
            found.append(Change(candidate.name, candidate.how, seconds, gain, candidate.caution))
    return sorted(found, key=lambda c: (-c.gain_percent, c.name))


def _candidates(
    program: Program, step: Step, asked: Asked, card: Card, memory: MemoryUse
) -> Iterator[_Candidate]:
    yield _Candidate(
        "BF16 autocast",
        'with torch.autocast("cuda", dtype=torch.bfloat16): around the forward pass and the loss',
        use_bf16(asked, card),
        "same exponent range as FP32, 8 bits of mantissa: compare the loss curve",
    )
    yield _Candidate(
        "TF32 products",
        'torch.set_float32_matmul_precision("high")',
        rewrite.use_tf32(asked, card),
        "10 bits of mantissa in the operands, FP32 sums",
    )
    sizes = odd_sizes(asked)
    yield _Candidate(
        "padded sizes",
        "make sizes a multiple of 8: " + ", ".join(f"{n} → {m}" for n, m in sizes.items()),
        pad(asked, sizes),
        "rows then start at multiples of 16 bytes; what is added must not count",
    )
    if (step.events["kind"] == Kind.ENTER).any():  # a module read a batch
        yield from _batch(asked, card, memory)
    yield _Candidate(
        "torch.compile",
        'model = torch.compile(model, backend="suiren")',
        None if _is_compiled(asked) else rewrite.fuse_chains(asked),
        "estimated by fusing neighbours of this step; what is recomputed may differ",
    )
    parameters, states = _parameters(program)
    yield _Candidate(
        "fused optimizer",
        "fused=True in the optimizer",
        rewrite.fuse_optimizer(asked, parameters, states),
    )
    yield _Candidate(
        "fewer synchronisations",
        "read loss.item() every N steps instead of in every step",
        rewrite.drop_syncs(asked),
    )
    yield from _on_host(asked, card, memory)
    kept = rewrite.keep_activations(asked)
    yield _Candidate("no recomputation", "switch activation checkpointing off", kept,
                     "needs the memory that checkpointing saved")  # fmt: skip


def _on_host(asked: Asked, card: Card, memory: MemoryUse) -> Iterator[_Candidate]:
    """Where the host updates the weights: the card may, if it has room for the states."""
    needed = memory.peak_bytes + host.STATES_BYTES * host.weights_of(asked)
    if needed <= float(card.memory_bytes):
        yield _Candidate(
            "optimizer on the card",
            f"keep weights and optimizer states on the card: {show_bytes(needed)} of "
            f"{show_bytes(card.memory_bytes)} would be in use",
            host.on_card(asked),
            "the same update; less is left for larger batches",
        )
    yield _Candidate("fused optimizer on the host", "fused=True in the optimizer",
                     host.fused_on_host(asked))  # fmt: skip


def _is_compiled(asked: Asked) -> bool:
    return any(ask.work.family == "fused" for ask in asked.ops())


def _batch(asked: Asked, card: Card, memory: MemoryUse) -> Iterator[_Candidate]:
    """The largest power of two times the batch that still fits."""
    found = fit(memory, int(card.memory_bytes), 1, None)
    times = 1
    while found is not None and found.per_batch_bytes and 2 * times <= min(8, found.largest_batch):
        times *= 2
    if times > 1:
        yield _Candidate(
            f"batch × {times}",
            f"a batch {times} times as large: {times} batches' activations still fit",
            rewrite.grow_batch(asked, times),
            "changes the optimisation: adjust the learning rate",
            batches=times,
        )


def _parameters(program: Program) -> tuple[list[tuple[int, str]], int]:
    """Elements and format of every parameter, and optimizer states of each."""
    sizes = program.facts.get("parameters", [])
    return [(int(n), str(dtype)) for n, dtype in sizes], int(
        program.facts.get("optimizer_states", 0)
    )
