"""Number formats: what a format is called, how wide it is, what it can hold.

Names are the field's own short ones (`f32`, `bf16`, `i64`), the same in traces,
chip files and reports. `tf32` is a way to multiply, not a way to store.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """One number format. `bits` in storage; `exponent`/`mantissa` are 0 for integers."""

    name: str
    bits: int
    exponent: int = 0
    mantissa: int = 0
    accumulator: str = ""
    beyond: str = "infinity"
    """What a value beyond the largest becomes: `infinity`, `nan` or `largest`."""
    bias: int = 0
    """Of the exponent; 0 where it is IEEE's, 2^(exponent - 1) - 1."""
    spare: int = 0
    """Codes at the top of the range that are no numbers, where the format has no infinity."""
    has_negative_zero: bool = True
    has_sign: bool = True
    block: int = 0
    """Neighbours along a row that share a scale of 8 bits; they lie packed. 0: none do."""

    @property
    def itemsize_bytes(self) -> int:
        """Bytes of one element in memory."""
        return max(1, self.bits // 8)

    @property
    def moved_bytes(self) -> float:
        """Bytes that one element takes on its way to a product, with its part of a scale."""
        return self.bits / 8 + 1 / self.block if self.block else float(self.itemsize_bytes)

    @property
    def is_float(self) -> bool:
        """True for the floating formats."""
        return self.exponent > 0

    @property
    def lowest_exponent(self) -> int:
        """Exponent of the smallest normal number; subnormals have its spacing."""
        if not self.has_sign:
            return -self._bias
        return 1 - self._bias

    @property
    def largest(self) -> float:
        """The largest finite number."""
        if self.beyond == "infinity":
            top = 2**self.exponent - 2 - self._bias
            return float((2 - 2.0**-self.mantissa) * 2.0**top)
        top = 2**self.exponent - 1 - self._bias
        last = 2**self.mantissa - 1 - self.spare
        if last < 0:
            return float(2.0 ** (top - 1))
        return float((1 + last * 2.0**-self.mantissa) * 2.0**top)

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next number: what rounding may change, relatively."""
        return float(2.0 ** -(self.mantissa + 1))

    @property
    def smallest_normal(self) -> float:
        """Below it the spacing no longer shrinks."""
        return float(2.0**self.lowest_exponent)

    @property
    def _bias(self) -> int:
        return self.bias or 2 ** (self.exponent - 1) - 1

    @property
    def is_wide(self) -> bool:
        """True for the 64-bit formats that training chips emulate or lack."""
        return self.bits >= 64


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("f64", 64, 11, 52, "f64"),
        Format("f32", 32, 8, 23, "f32"),
        Format("tf32", 32, 8, 10, "f32"),
        Format("bf16", 16, 8, 7, "f32"),
        Format("f16", 16, 5, 10, "f32"),
        Format("f8e4m3", 8, 4, 3, "f32", "nan", spare=1),
        Format("f8e4m3fnuz", 8, 4, 3, "f32", "nan", 8, has_negative_zero=False),
        Format("f8e5m2fnuz", 8, 5, 2, "f32", "nan", 16, has_negative_zero=False),
        Format("f8e8m0", 8, 8, 0, "f32", "nan", spare=1, has_sign=False),
        Format("f6e2m3", 6, 2, 3, "f32", "largest"),
        Format("f6e3m2", 6, 3, 2, "f32", "largest"),
        Format("f4e2m1", 4, 2, 1, "f32", "largest", block=16),
        Format("f8e5m2", 8, 5, 2, "f32"),
        Format("i64", 64),
        Format("i32", 32),
        Format("i16", 16),
        Format("i8", 8),
        Format("u8", 8),
        Format("u16", 16),
        Format("u32", 32),
        Format("u64", 64),
        Format("b8", 8),
        Format("c64", 64, 8, 23),
        Format("c128", 128, 11, 52),
    )
}

#: The format in which a chip's sheet prints the peak for a stored format.
PEAK_NAME = {
    "f64": "fp64",
    "f32": "fp32",
    "tf32": "tf32",
    "bf16": "bf16",
    "f16": "fp16",
    "f8e4m3": "fp8",
    "f8e5m2": "fp8",
    "f4e2m1": "fp4",
    "i8": "int8",
    "u8": "int8",
}


def itemsize_bytes(name: str) -> int:
    """Bytes of one element of the format; an unknown name counts as four bytes."""
    return FORMATS[name].itemsize_bytes if name in FORMATS else 4


def moved_bytes(name: str) -> float:
    """Bytes of one element of the format on its way to a product, scales included.

    NVFP4 packs two numbers into a byte, and sixteen share a scale of 8 bits (NVIDIA, Introducing
    NVFP4, 2025).
    """
    return FORMATS[name].moved_bytes if name in FORMATS else 4.0


def bits_of(name: str) -> int:
    """Bits of one element of the format; an unknown name counts as 32."""
    return FORMATS[name].bits if name in FORMATS else 32
