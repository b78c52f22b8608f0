"""Kernels of the user's own: their time on a card, and their price when a model runs them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from suiren.core.check import (
    check_capacity,
    check_compression,
    check_order,
    check_protocol,
)
from suiren.core.kernel import Kernel
from suiren.core.program import Program
from suiren.core.roofline import Roofline, attainable, roofline
from suiren.core.timing import Timing, time_program
from suiren.hw.load import resolve_card
from suiren.hw.spec import Card
from suiren.mapper.power import energy_j, held_s


@dataclass(frozen=True, slots=True)
class KernelTime:
    """A kernel on a card: seconds with launch, what bounds it, and how near the roofline it is."""

    seconds: float
    timing: Timing
    roofline: Roofline
    """At printed rates: no kernel can be faster."""
    attainable: Roofline
    """At the rates that the card sustains: what a perfect kernel would take."""
    energy_j: float

    @property
    def roofline_share(self) -> float:
        """Attainable time over the kernel's time, launch left out: 1 is the best there could be."""
        return self.attainable.seconds / self.timing.seconds if self.timing.seconds else 0.0


def time_kernel(program: Program, on: str | Card) -> KernelTime:
    """How long a program takes on a card, checked first.

    Raises KernelMistake (a race, a deadlock, too little scratchpad) and UnknownChip.
    """
    card = resolve_card(on) if isinstance(on, str) else on
    check_order(program)
    check_protocol(program)
    check_capacity(program, card)
    check_compression(program, card)
    timing = time_program(program, card)
    dtype = program.tensors[0].dtype if program.tensors else "f32"
    seconds = held_s(timing, card, dtype) + card.launch_s
    ideal = roofline(program, card)
    if "zeros" in card.chip.skips:  # padding is zeros, and zeros take no energy
        timing = replace(timing, macs=min(timing.macs, ideal.flop / 2))
    return KernelTime(
        seconds, timing, ideal, attainable(ideal, card), energy_j(timing, card, dtype)
    )


@dataclass(frozen=True, slots=True)
class Own:
    """A kernel that was made a torch op, with its tile options."""

    kernel: Kernel
    options: tuple[tuple[str, object], ...]

    def program(self, shapes: list[tuple[tuple[int, ...], str]]) -> Program:
        """The program for inputs of these shapes and formats."""
        sizes = self.kernel.signature.bind(shapes)
        return self.kernel.build(sizes, **dict(self.options))


#: By op name without namespace: kernels that models may call as `torch.ops.suiren.NAME`.
OWN: dict[str, Own] = {}
