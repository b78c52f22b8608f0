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

    @property
    def itemsize_bytes(self) -> int:
        """Bytes of one element in memory."""
        return max(1, self.bits // 8)

    @property
    def is_float(self) -> bool:
        """True for the floating formats."""
        return self.exponent > 0

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
        Format("f8e4m3", 8, 4, 3, "f32"),
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
    "i8": "int8",
    "u8": "int8",
}


def itemsize_bytes(name: str) -> int:
    """Bytes of one element of the format; an unknown name counts as four bytes."""
    return FORMATS[name].itemsize_bytes if name in FORMATS else 4
