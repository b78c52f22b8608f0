"""What would fit: the largest batch and sequence for a card's memory, from one traced step."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from suiren.mapper.memory import MemoryUse
from suiren.units import show_bytes


@dataclass(frozen=True, slots=True)
class Fit:
    """How a step's memory divides and what the card could hold instead. Bytes."""

    fixed_bytes: int
    """Weights, gradients, optimizer state and what its step needs: the same for every batch."""
    per_batch_bytes: int
    """Activations, temporaries and data of the traced batch at their highest."""
    capacity_bytes: int
    batch: int
    sequence: int | None
    largest_batch: int
    """At the traced sequence; 0 if not even one sample fits."""
    largest_sequence: int | None
    """At a batch of one; activations grow in proportion to the sequence."""

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
            return (
                f"largest batch that fits{at}: {self.largest_batch} "
                f"(fixed {fixed}, {show_bytes(self.per_batch_bytes / self.batch)} a sample)"
            )
        if self.largest_sequence:
            return (
                f"largest that fits: batch 1 × sequence {self.largest_sequence} "
                f"(fixed {fixed} of {capacity})"
            )
        return f"not even one sample fits beside {fixed} of weights, gradients and optimizer"


def fit(memory: MemoryUse, capacity_bytes: int, batch: int, sequence: int | None) -> Fit | None:
    """Scales the traced peak: activations with the batch and, to first order, the sequence.

    None for a card without device memory.
    """
    if capacity_bytes <= 0:
        return None
    moving = memory.batch_bytes
    fixed = max(memory.fixed_bytes, memory.optimizer_peak_bytes)
    room = capacity_bytes - memory.fixed_bytes if fixed <= capacity_bytes else 0
    per_sample = moving / max(1, batch)
    largest = max(0, floor(room / per_sample)) if per_sample > 0 else batch
    longest = None
    if sequence and per_sample > 0 and room > 0:
        longest = max(0, floor(sequence * room / per_sample)) // 64 * 64 or None
    return Fit(fixed, moving, capacity_bytes, batch, sequence, largest, longest)
