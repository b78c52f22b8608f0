"""How a chip's matrix engine sums: how many products at once, in what width, with what rounding.

A step of the engine adds a block of products to the accumulator. Where it aligns them to the
largest and drops what falls below, the bits that survive are a fact; blocks follow one another
along the sum. Rows are by family and peak format, as `behaviour.py` has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.fact import Fact, assumed, published
from suiren.hw.spec import Card

#: Peak formats that a matrix engine multiplies, in the order in which they are shown.
MULTIPLIED = ("fp32", "tf32", "bf16", "fp16", "fp8")


@dataclass(frozen=True, kw_only=True)
class Accumulation:
    """The sum of products of one engine in one format."""

    block_k: Fact
    """Products that one step adds to the accumulator."""
    aligned_bits: Fact
    """Bits kept below the leading bit of the step's largest term; 0 where each addition is
    rounded for itself."""
    mantissa_bits: Fact
    """Mantissa of the accumulator between steps: 23 is FP32."""
    truncates: bool
    """Bits below are cut off; otherwise rounded to nearest, ties to even."""

    def facts(self) -> tuple[tuple[str, Fact], ...]:
        """The facts by name."""
        return (
            ("block_k", self.block_k),
            ("aligned_bits", self.aligned_bits),
            ("mantissa_bits", self.mantissa_bits),
        )


_FASI = "Fasi et al., Numerical behavior of NVIDIA tensor cores, PeerJ Comput. Sci. 7:e330, 2021"
_BITS = (
    "alignment bits beyond Volta's, as the software models of arXiv:2512.07004 were built to "
    "find; the count was read second hand"
)
_DEEPSEEK = (
    "DeepSeek-V3 technical report, arXiv:2412.19437, section 3.5.2: Hopper's FP8 products are "
    "aligned to the largest and about 14 bits survive"
)
_DTU = "nobody published it; one product after the other into FP32, as a systolic array adds"
_FMA = "an FMA unit rounds every addition"


def _aligned(block: Fact, bits: Fact, mantissa: Fact) -> Accumulation:
    return Accumulation(block_k=block, aligned_bits=bits, mantissa_bits=mantissa, truncates=True)


def _plain(why: str) -> Accumulation:
    return Accumulation(
        block_k=assumed(1, why),
        aligned_bits=assumed(0, why),
        mantissa_bits=assumed(23, "sums are kept in FP32"),
        truncates=False,
    )


_FP32 = published(23, _FASI + ": the accumulator is FP32")
_NVIDIA: dict[tuple[str, str], Accumulation] = {
    ("volta", "fp16"): _aligned(
        published(4, _FASI), published(23, _FASI + ": no extra bits on the V100"), _FP32
    ),
    ("turing", "fp16"): _aligned(published(4, _FASI), assumed(24, _BITS), _FP32),
    ("ampere", "fp16"): _aligned(published(8, _FASI), assumed(24, _BITS), _FP32),
    ("ampere", "bf16"): _aligned(published(8, _FASI), assumed(24, _BITS), _FP32),
    ("ampere", "tf32"): _aligned(published(4, _FASI), assumed(24, _BITS), _FP32),
}
_WIDER = "twice the block of the generation before, as the instruction's shape doubled"
for _family in ("hopper", "blackwell"):
    for _form, _block in (("fp16", 16), ("bf16", 16), ("tf32", 8)):
        _NVIDIA[_family, _form] = _aligned(
            assumed(_block, _WIDER), assumed(25, _BITS), assumed(23, "FP32, as on the A100")
        )
_NVIDIA["hopper", "fp8"] = _aligned(
    assumed(32, _WIDER), published(13, _DEEPSEEK), published(13, _DEEPSEEK)
)
_NVIDIA["ada", "fp8"] = _aligned(
    assumed(16, _WIDER), assumed(13, "as Hopper: " + _DEEPSEEK), assumed(13, "as Hopper")
)
_NVIDIA["blackwell", "fp8"] = _aligned(
    assumed(32, _WIDER), assumed(25, "as its FP16: the narrow FP8 sum was Hopper's"),
    assumed(23, "FP32, as its FP16"),
)  # fmt: skip
for _form in ("fp16", "bf16", "tf32"):
    _NVIDIA["ada", _form] = _NVIDIA["ampere", _form]


def accumulation(card: Card, peak_format: str) -> Accumulation:
    """How the card sums products of the peak format (`bf16`, `tf32` …).

    Raises KeyError for a format that the card does not multiply.
    """
    if peak_format not in (*card.chip.matrix, *card.chip.vector):
        raise KeyError(peak_format)
    if peak_format in card.chip.matrix:
        row = _NVIDIA.get((card.chip.family, peak_format))
        return row if row is not None else _plain(_DTU)
    return _plain(_FMA)


#: Stored formats of a peak format; the variant of FP8 is the family's.
_STORED = {"fp64": ("f64",), "fp32": ("f32",), "tf32": ("tf32",), "bf16": ("bf16",),
           "fp16": ("f16",), "fp8": ("f8e4m3", "f8e5m2"), "fp4": ("f4e2m1",)}  # fmt: skip
_FNUZ = ("f8e4m3fnuz", "f8e5m2fnuz")
_FNUZ_FAMILIES = frozenset({"cdna3"})


def stored_formats(card: Card) -> tuple[str, ...]:
    """Floating formats that the card computes with, by our names, widest first."""
    found: list[str] = []
    for peak in card.formats():
        names = _STORED.get(peak, ())
        found.extend(_FNUZ if peak == "fp8" and card.chip.family in _FNUZ_FAMILIES else names)
    return tuple(found)
