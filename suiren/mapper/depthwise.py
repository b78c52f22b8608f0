"""Depthwise convolutions: every channel has filters of its own, so there is no product to make.

On GPUs PyTorch runs kernels of its own for them (aten/src/ATen/native/cuda/DepthwiseConv2d.cu):
a thread makes one number and works out where it stands by divisions; the weight's gradient goes
over all images once for every position of the window. Elsewhere a lane spends its multiply-adds.
"""

from __future__ import annotations

from suiren.hw.fact import Fact, assumed, derived
from suiren.hw.spec import Card

#: Lane operations of a division of whole numbers by one that is not known beforehand.
DIVISION: Fact = assumed(
    25, "no GPU divides whole numbers in one instruction; reciprocal and three conversions at a "
    "quarter of the rate, and a correction"
)  # fmt: skip
_FILE = "counted in aten/src/ATen/native/cuda/DepthwiseConv2d.cu, "
#: Of one tap of a result, or of the input's gradient.
TAP: Fact = derived(
    7, _FILE + "conv_depthwise2d_forward_kernel: two bounds, a predicate, an address, two loads, "
    "a multiply-add"
)  # fmt: skip
#: Divisions for one result: image, channel, row and column of a thread.
DIVISIONS: Fact = derived(4, _FILE + "conv_depthwise2d_forward_kernel")
#: Of one tap of the weight's gradient, besides one division: row and column of a thread.
WEIGHT_TAP: Fact = derived(
    18, _FILE + "conv_depthwise2d_grad_weight_kernel: remainder, two positions, four bounds, two "
    "addresses of five operations, two loads, a multiply-add"
)  # fmt: skip


def lanes_of(direction: str, made: float, taps: int, card: Card) -> float:
    """Lane operations of one pass (forward, input or weight) over `made` numbers.

    `made` counts results; for `input` the input's gradient, for `weight` the result's gradient.
    """
    if not card.chip.is_gpu:
        return made * taps
    if direction == "weight":
        return made * taps * (float(DIVISION) + float(WEIGHT_TAP))
    return made * (float(DIVISIONS) * float(DIVISION) + taps * float(TAP))
