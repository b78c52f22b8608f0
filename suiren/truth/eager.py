"""What the host adds where a table times one eager call of PyTorch.

NeuSight (scripts/asplos/data) takes an event, calls the op, takes another event: no time is
shorter than the host's way through the call, and what the kernel takes starts part of it later.
The host's speed belongs to the machine a card sat in, an op's share of it to PyTorch; both are
medians of `fit` rows below 200 kB. A machine that no row tells is taken as the median one.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from suiren.truth.rows import Row
from suiren.units import us


@dataclass(frozen=True, slots=True)
class Host:
    """The host of a measured call."""

    call_s: float
    """All of the call, events included."""
    before_s: float
    """What passes before the kernel can start."""
    assumed: bool = False
    """True where no row tells this machine's speed."""

    def seconds(self, kernel_s: float) -> float:
        """What is measured for a kernel, its launch included."""
        return max(self.call_s, self.before_s + kernel_s)


#: Seconds of `add` between two events, by card.
_MACHINES = {
    "v100-pcie": 32.4 * us, "a100-pcie-40": 26.4 * us, "p100": 45.5 * us, "t4": 26.1 * us,
    "p4": 26.5 * us, "mi100": 16.7 * us,
}  # fmt: skip
#: Inferred, no source says so: the P100's gelu and layer norm (`fit` floors 27.6 and 25.9 µs over
#: `add`'s share) stand where the P4's do, its other ops at 45 µs. So another machine is assumed.
_OTHER_MACHINE = {("p100", "gelu"): "p4", ("p100", "ln"): "p4"}
#: Time of an op's call relative to `add`.
_CALLS = {
    "add": 1.0, "addu": 1.19, "div": 1.0, "divu": 1.176, "gelu": 1.15, "ln": 1.78, "mul": 0.995,
    "mulu": 1.173, "pow": 1.013, "powu": 1.109, "relu": 1.216, "softmax": 1.288, "tanh": 0.98,
}  # fmt: skip
#: Share of the call before the kernel can start: CUDA, and ROCm (MI100).
_BEFORE, _BEFORE_ROCM = {"": 0.44, "ln": 0.75, "softmax": 0.64}, {"": 0.80, "ln": 0.68}


def host_of(row: Row, card: str) -> Host:
    """The host of a NeuSight row measured on a card."""
    machine = _OTHER_MACHINE.get((card, row.op), card)
    call_s = _MACHINES.get(machine, median(_MACHINES.values())) * _CALLS[row.op]
    before = _BEFORE_ROCM if row.hardware.startswith("AMD") else _BEFORE
    return Host(call_s, call_s * before.get(row.op, before[""]), machine not in _MACHINES)
