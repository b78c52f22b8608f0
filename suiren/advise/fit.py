"""What would fit: the largest batch and sequence for a card's memory, from one traced step."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf

from suiren.mapper.memory import MemoryUse
from suiren.units import show_bytes


@dataclass(frozen=True, slots=True)
class Fit:
    """How a step's memory divides and what the card could hold instead. Bytes."""

    fixed_bytes: int
    """Weights, gradients, optimizer state and what its step needs: the same for every batch."""
    per_batch_bytes: int
    """Activations, temporaries and data of what was traced at their highest."""
    capacity_bytes: int
    batch: int
    """Samples that go through the model at once."""
    sequence: int | None
    largest_batch: int
    """Samples at once, at the traced sequence; 0 if not even one fits."""
    largest_sequence: int | None
    """At a batch of one; activations grow in proportion to the sequence."""
    micro_batches: int = 1
    """Batches whose gradients a step adds up."""

    @property
    def sentence(self) -> str:
        """What would work, with the numbers."""
        fixed, capacity = show_bytes(self.fixed_bytes), show_bytes(self.capacity_bytes)
        if self.fixed_bytes >= self.capacity_bytes:
            cards = -(-self.fixed_bytes // self.capacity_bytes)
            return (
                f"no batch fits: weights, gradients and optimizer alone take {fixed} of "
                f"{capacity}; shard them over at least {cards} cards (FSDP), or train adapters only"
            )
        if self.largest_batch >= 1:
            at = f" at sequence {self.sequence}" if self.sequence else ""
            kind, times = "batch", ""
            if self.micro_batches > 1:
                kind, times = "micro-batch", f", {self.micro_batches:,} a step"
            return (
                f"largest {kind} that fits{at}: {self.largest_batch}{times} "
                f"(fixed {fixed}, {show_bytes(self.per_batch_bytes / self.batch)} a sample)"
            )
        if self.largest_sequence:
            return (
                f"largest that fits: batch 1 × sequence {self.largest_sequence} "
                f"(fixed {fixed} of {capacity})"
            )
        return f"not even one sample fits beside {fixed} of weights, gradients and optimizer"


def fit(
    memory: MemoryUse, capacity_bytes: int, samples: int, sequence: int | None,
    micro_batches: int = 1,
) -> Fit | None:  # fmt: skip
    """Scales every point of the traced step: what grows with the batch, and what does not.

    The point that leaves the least room decides. `samples` are those of a step, which go through
    the model in `micro_batches` parts: memory grows with the size of a part, however many follow
    each other. None for a card without device memory.
    """
    if capacity_bytes <= 0:
        return None
    batch = max(1, -(-samples // max(1, micro_batches)))

    def largest_at(corner: tuple[int, int]) -> float:
        fixed, moving = corner
        if fixed > capacity_bytes:
            return 0.0
        return (capacity_bytes - fixed) * batch / moving if moving else inf

    corners = memory.corners or ((memory.peak_bytes, 0),)
    fixed, moving = min(corners, key=lambda c: (largest_at(c), -c[0]))
    most = largest_at((fixed, moving))
    largest = batch if most == inf else floor(most)
    longest = None
    if sequence and 0 < most < inf:
        longest = floor(sequence * most) // 64 * 64 or None
    return Fit(fixed, moving, capacity_bytes, batch, sequence, largest, longest,
               max(1, micro_batches))  # fmt: skip
