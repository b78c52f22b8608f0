"""Depthwise convolutions stream: their time is bytes and a lane's arithmetic, no product's."""

from __future__ import annotations

import pytest

from suiren.fleet.cost import price_of
from suiren.hw.names import find_card
from suiren.mapper.depthwise import lanes_of
from suiren.mapper.families import work_of
from suiren.trace.call import Call, Tensor

X, W = Tensor("f32", (64, 96, 56, 56)), Tensor("f32", (96, 1, 3, 3))


def call(groups: int, weight: Tensor = W, **more: object) -> Call:
    arguments = {"input": X, "weight": weight, "groups": groups, "stride": (1, 1),
                 "padding": (1, 1), **more}  # fmt: skip
    return Call("aten::convolution", arguments, (X,))


def test_a_filter_a_channel_is_no_product() -> None:
    (kernel,) = work_of(call(96)).kernels
    assert kernel.depthwise == ("forward", X.numel, 9)
    assert kernel.product is not None and kernel.product.flop == 2 * 9 * X.numel
    plain, grouped = (work_of(call(n, Tensor("f32", (96, 96 // n, 3, 3)))).kernels[0]
                      for n in (1, 4))  # fmt: skip
    assert plain.depthwise is None and grouped.depthwise is None


def test_both_gradients_go_over_their_own_numbers() -> None:
    gradient = Tensor("f32", (64, 96, 28, 28))
    backward = Call("aten::convolution_backward",
                    {"grad_output": gradient, "input": X, "weight": W, "groups": 96,
                     "stride": (2, 2), "output_mask": (True, True, False)}, (X, W))  # fmt: skip
    passes = [k.depthwise for k in work_of(backward).kernels]
    assert passes == [("input", X.numel, 9), ("weight", gradient.numel, 9)]


@pytest.mark.parametrize("name", ["a100", "v100", "mi100", "t21", "tpu-v5e"])
def test_time_is_between_the_bytes_and_a_hundred_times_them(name: str) -> None:
    card = find_card(name)
    found = price_of(call(96), card)
    least_s = 2 * X.bytes / float(card.memory_bytes_per_s)
    assert least_s * 0.9 < found.busy_s < 100 * least_s
    assert found.busy_s >= found.roofline_s


def test_threads_work_out_where_they_stand() -> None:
    a100, t21 = find_card("a100"), find_card("t21")
    assert lanes_of("forward", 1000, 9, t21) == 9000
    assert lanes_of("forward", 1000, 9, a100) == 1000 * (4 * 25 + 9 * 7)
    assert lanes_of("weight", 1000, 9, a100) > 2 * lanes_of("forward", 1000, 9, a100)
