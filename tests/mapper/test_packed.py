"""Packed 4-bit operands: half a byte, a sixteenth of a scale, and steps that wait for scales."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suiren.core.pace import STEP_BYTES, step_s
from suiren.core.tile import Tensor as Matrix
from suiren.dtype import FORMATS, itemsize_bytes, moved_bytes
from suiren.hw.catalog import CARDS
from suiren.hw.fact import assumed
from suiren.mapper.candidate import Shape
from suiren.mapper.menu import offers
from suiren.mapper.tune import tune
from suiren.trace.call import Tensor

GB200 = CARDS["gb200"]


def product(dtype: str, m: int = 4096, k: int = 4096) -> Shape:
    return Shape(1, m, 4096, k, dtype, "bf16")


def test_sixteen_packed_numbers_move_nine_bytes() -> None:
    assert 16 * moved_bytes("f4e2m1") == 16 / 2 + 1
    assert Tensor("f4e2m1", (16, 3)).bytes == Matrix("a", (16, 3), "f4e2m1").bytes == 27
    assert Tensor("f4e2m1", (1,)).bytes == 1


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.bits >= 8])
def test_whole_bytes_move_as_they_are_stored(name: str) -> None:
    assert moved_bytes(name) == itemsize_bytes(name)


def test_a_step_is_as_deep_in_bytes_as_that_of_other_formats() -> None:
    deep = {d: max(o.tk for o in offers(GB200, d, "bf16")) for d in ("bf16", "f8e4m3", "f4e2m1")}
    assert deep == {"bf16": 64, "f8e4m3": 128, "f4e2m1": 256}


def test_a_step_waits_for_its_scales() -> None:
    each = GB200.pace.packed_step_s
    assert step_s("f4e2m1", GB200) * 256 == pytest.approx(each * 256 * 9 / 16 / STEP_BYTES)
    assert step_s("bf16", GB200) == GB200.pace.matrix_step_s * 2 / STEP_BYTES
    none = replace(GB200, pace=replace(GB200.pace, packed_step_s=assumed(0.0, "for this test")))
    small = product("f4e2m1", m=16, k=16384)
    waits_s = step_s("f4e2m1", GB200) * 16384
    assert tune(small, none).seconds < waits_s <= tune(small, GB200).seconds


def test_packed_products_read_a_little_more_than_half_of_eight_bits() -> None:
    thin = [tune(product(d, m=64, k=32768), GB200).timing.memory_bytes for d in
            ("f4e2m1", "f8e4m3")]  # fmt: skip
    assert thin[0] / thin[1] == pytest.approx(9 / 16, rel=0.05)


def test_kernels_of_packed_formats_do_not_split_k() -> None:
    assert tune(product("f8e4m3", m=16, k=32768), GB200).splits > 1
    assert tune(product("f4e2m1", m=16, k=32768), GB200).splits == 1
