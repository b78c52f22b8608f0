"""Products whose rows start at odd places."""

from __future__ import annotations

import pytest

from suiren.hw.names import find_card
from suiren.mapper.price import price
from suiren.trace.call import Call, Tensor

A100 = find_card("a100")


def product_s(card: str, m: int, k: int, n: int, dtype: str = "f16") -> float:
    """Logits of `m` tokens: [m, k] x [k, n], the weight stored [n, k]; seconds."""
    a, b = Tensor(dtype, (m, k)), Tensor(dtype, (k, n), (1, k))
    call = Call("aten::mm", {"self": a, "mat2": b}, (Tensor(dtype, (m, n)),))
    return price(call, find_card(card)).busy_s


@pytest.mark.parametrize(("tokens", "measured_s"), [(13_700, 101.291e-3), (14_976, 111.186e-3)])
def test_logits_of_an_odd_vocabulary_on_a_t4(tokens: int, measured_s: float) -> None:
    """Nsight's times of `cutlass_75_tensorop_f16_s1688gemm_f16_*_tn_align1`, GPT-2 on HellaSwag.

    Published with kernel names in the post "Kernel Investigation" of AI-Experiments, CUDA 12.8.
    The share of `mapper/narrow.py` comes from an A100; T4's clock is the datasheet's.
    """
    assert product_s("t4", tokens, 768, 50_257) == pytest.approx(measured_s, rel=0.08)


def test_an_odd_result_alone_narrows_every_access() -> None:
    """Both operands have rows of 768 elements; the library has one width for all three."""
    assert product_s("a100", 12_288, 768, 50_257) > 2.5 * product_s("a100", 12_288, 768, 50_304)


def test_wider_grains_are_never_slower() -> None:
    times = [product_s("a100", 8192, 1024, n) for n in (50_257, 50_258, 50_260, 50_264)]
    assert times == sorted(times, reverse=True)
    assert times[0] > 2 * times[-1]


@pytest.mark.parametrize("card", ["t20", "tpu-v5e", "ascend910b"])
def test_copy_engines_take_rows_that_start_anywhere(card: str) -> None:
    assert product_s(card, 4096, 1024, 50_257) < 1.1 * product_s(card, 4096, 1024, 50_304)


def test_words_of_four_bytes_are_read_as_they_are() -> None:
    odd, even = (product_s("a100", 4096, 1024, n, "f32") for n in (30_521, 30_520))
    assert odd == pytest.approx(even, rel=0.02)
