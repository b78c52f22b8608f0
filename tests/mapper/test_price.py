"""Prices of products on the toy card, where every sum can be done by hand.

16 cores of 1 GHz; 1024 MACs a core in BF16, 512 in TF32, 256 in FP32.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from suiren.hw.catalog import CARDS
from suiren.hw.spec import Card
from suiren.mapper.price import PARTS, Price, price
from suiren.trace.call import parse_call

TOY = CARDS["toy"]


def priced(line: str, card: Card = TOY) -> Price:
    return price(parse_call("aten::" + line), card)


def bmm(b: int, m: int, n: int, k: int, dtype: str = "bf16", math: str = "") -> str:
    d = dtype
    return f"bmm(self={d}[{b},{m},{k}],mat2={d}[{b},{k},{n}]{math})->({d}[{b},{m},{n}])"


def test_more_tiles_than_cores_take_another_wave() -> None:
    """16 cores: 16 tiles take one wave, 17 take two, and 160 take ten times as long as 16."""
    one, two, ten = (priced(bmm(b, 128, 128, 4096)).parts_s["matrix"] for b in (16, 17, 160))
    assert one < two <= 2 * one * 1.001
    assert ten == pytest.approx(10 * one, rel=0.01)


@pytest.mark.parametrize(("m", "n", "k", "padded"), [
    (1, 1, 1, (16, 16, 16)), (16, 16, 16, (16, 16, 16)), (17, 16, 16, (32, 16, 16)),
    (1, 33, 1, (16, 48, 16)), (16, 16, 17, (16, 16, 32)),
])  # fmt: skip
def test_a_product_is_padded_to_the_engines_grain(m: int, n: int, k: int, padded: tuple) -> None:
    found = priced(bmm(1, m, n, k))
    least = 2 * padded[0] * padded[1] * padded[2]
    assert found.flop == {"bf16": 2 * m * n * k}
    assert found.padded_flop >= least
    assert found.parts_s["matrix"] >= least / TOY.peak_flop_per_s("bf16") / 16


@pytest.mark.parametrize("name", ["tpu-v2", "tpu-v6e", "h100", "t21", "a100", "gaudi2", "toy"])
def test_a_small_product_fills_one_grain_of_any_engine(name: str) -> None:
    """A batch of them, for which no kernel of vectors is chosen instead."""
    m, n, k = CARDS[name].chip.tile_mnk
    assert priced(bmm(2, 1, 1, 1), CARDS[name]).padded_flop >= 2 * 2 * m * n * k


def test_a_large_square_product_comes_near_the_peak() -> None:
    found = priced(bmm(1, 8192, 8192, 8192))
    ideal_s = 2 * 8192**3 / 32.768e12
    assert found.why == "matrix"
    assert found.roofline_s == pytest.approx(ideal_s)
    assert ideal_s <= found.busy_s <= 1.2 * ideal_s


def test_half_the_sustained_share_takes_twice_as_long() -> None:
    half = replace(TOY, matrix_efficiency=TOY.matrix_efficiency.at(0.5))
    line = bmm(1, 8192, 8192, 8192)
    assert priced(line, half).busy_s == pytest.approx(2 * priced(line).busy_s, rel=0.1)


@pytest.mark.parametrize(("dtype", "math", "runs_in", "macs"), [
    ("bf16", "", "bf16", 1024), ("f16", "", "fp16", 1024), ("f32", "", "fp32", 256),
    ("f32", ',math="tf32"', "tf32", 512),
])  # fmt: skip
def test_a_product_runs_in_its_own_format(dtype: str, math: str, runs_in: str, macs: int) -> None:
    found = priced(bmm(1, 4096, 4096, 4096, dtype, math))
    assert list(found.flop) == [runs_in]
    assert found.emulated == ""
    ideal_s = 2 * 4096**3 / (2 * 16 * macs * 1e9)
    assert found.parts_s["matrix"] == pytest.approx(ideal_s, rel=0.02)


@pytest.mark.parametrize(("card", "dtype", "math", "wanted", "runs_in"), [
    ("v100", "bf16", "", "bf16", "fp32"),
    ("v100", "f32", ',math="tf32"', "tf32", "fp32"),
    ("toy", "f64", "", "fp64", "fp32"),
])  # fmt: skip
def test_a_format_the_chip_lacks_falls_back_and_says_so(
    card: str, dtype: str, math: str, wanted: str, runs_in: str
) -> None:
    found = priced(bmm(1, 64, 64, 64, dtype, math), next(c for n, c in CARDS.items() if card in n))
    assert list(found.flop) == [runs_in]
    assert wanted in found.emulated
    assert runs_in in found.emulated


@pytest.mark.parametrize("name", [n for n, c in CARDS.items() if c.can_time])
def test_every_card_prices_every_format(name: str) -> None:
    for dtype in ("f32", "bf16", "f16", "f64", "i8", "f8e4m3"):
        found = priced(bmm(2, 64, 48, 32, dtype), CARDS[name])
        assert found.busy_s > 0
        assert set(found.flop) <= set(CARDS[name].formats())
    t = "f32[1000]"
    assert priced(f"add.Tensor(self={t},other={t},alpha=1)->({t})", CARDS[name]).busy_s > 0


def test_a_call_of_two_kernels_takes_as_long_as_both() -> None:
    x, w, y = "f32[8,64,28,28]", "f32[32,64,3,3]", "f32[8,32,26,26]"
    line = (
        f"convolution_backward(grad_output={y},input={x},weight={w},bias_sizes=none,stride=[1,1],"
        "padding=[0,0],dilation=[1,1],transposed=false,output_padding=[0,0],groups=1,output_mask={})"
        f"->({x},{w},none)"
    )
    both, first, second = (
        priced(line.replace("{}", mask))
        for mask in ("[true,true,false]", "[true,false,false]", "[false,true,false]")
    )
    assert both.busy_s == pytest.approx(first.busy_s + second.busy_s)
    assert both.launches == first.launches + second.launches >= 2
    for part in PARTS:
        assert both.parts_s[part] == pytest.approx(first.parts_s[part] + second.parts_s[part])


@pytest.mark.parametrize(
    ("m", "n", "k"), [(8192, 8192, 8192), (32768, 64, 4096), (64, 50304, 1024)]
)
def test_a_product_moves_each_operand_at_least_once(m: int, n: int, k: int) -> None:
    found = priced(bmm(1, m, n, k))
    # the result may stay in the shared level
    kept = min(2 * m * n, TOY.l2_bytes)
    assert found.memory_bytes * 1.001 >= 2 * (m * k + k * n + m * n) - kept
    assert found.l2_bytes * 1.001 >= found.memory_bytes
