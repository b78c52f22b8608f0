"""How fast the attention kernels of frameworks are on Hopper, beside the operator library's.

Shah et al. 2024, FlashAttention-3, figures 5 and 6, print TFLOP/s of several kernels on an H100 at
a head dimension of 128. The longest sequences say how far each is from the kernel that the operator
library prices; how time goes with the shape stays the library's.
"""

from __future__ import annotations

from functools import lru_cache

from suiren.fleet.cost import price_of
from suiren.fleet.framework import AttentionKernel
from suiren.hw.catalog import CARDS
from suiren.hw.fact import Fact, derived, published
from suiren.hw.spec import Card
from suiren.trace.call import Call, Tensor, Value

_FIGURES = "FlashAttention-3, Shah et al. 2024, figures 5 and 6: H100 SXM5, 16k, not causal"
#: FLOP a second, forward and backward.
RATES: dict[str, tuple[Fact, Fact]] = {
    "flash-attention-2": (published(370e12, _FIGURES), published(322e12, _FIGURES)),
    "cudnn": (published(595e12, _FIGURES), published(516e12, _FIGURES)),
}
#: The shape of these figures: one sequence of 16 heads.
_HEADS, _TOKENS, _WIDTH = 16, 16384, 128
_FORWARD_FLOP = 4.0 * _HEADS * _TOKENS * _TOKENS * _WIDTH
#: Products of the backward pass over those of the forward pass, as the figures count.
_BACKWARD_SHARE = 2.5
_NAME = "aten::_scaled_dot_product_fused_attention_overrideable"
#: Kernels without Hopper's asynchronous products, beside one that has them, on later chips.
_FA3 = "FlashAttention-3, Shah et al. 2024, abstract and section 4.1, H100"
LATER_FORWARD = derived(1.75, f"1.5 to 2.0 times the time of FlashAttention-3; {_FA3}")
LATER_BACKWARD = derived(1.62, f"1.5 to 1.75 times the time of FlashAttention-3; {_FA3}")


def slowdown(kernel: AttentionKernel, card: Card, back: bool) -> float:
    """Time of a kernel over the operator library's on a card; below 1 where it is faster.

    Figures are of an H100; on Blackwell a kernel written for Ampere is as far behind as there.
    """
    if kernel == "library":
        return 1.0
    if card.chip.family == "hopper":
        return _library_rate(back) / float(RATES[kernel][back])
    if card.chip.family == "blackwell" and kernel == "flash-attention-2":
        return float(LATER_BACKWARD if back else LATER_FORWARD)
    return 1.0


@lru_cache(maxsize=2)
def _library_rate(back: bool) -> float:
    """FLOP a second of the operator library's kernel at the shape of the figures, on an H100."""
    x = Tensor("bf16", (1, _HEADS, _TOKENS, _WIDTH))
    sums = Tensor("f32", (1, _HEADS, _TOKENS))
    ins: dict[str, Value] = {"query": x, "key": x, "value": x, "is_causal": False}
    call = Call(_NAME, ins, (x, sums))
    if back:
        ins = {"grad_out": x, **ins, "out": x, "logsumexp": sums}
        call = Call(f"{_NAME}_backward", ins, (x, x, x))
    flop = _FORWARD_FLOP * (_BACKWARD_SHARE if back else 1.0)
    return flop / price_of(call, CARDS["h100"]).total_s
