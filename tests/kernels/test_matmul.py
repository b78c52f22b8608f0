"""Every layout, format and epilogue of the matrix products agrees with PyTorch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from against_torch import agrees
from torch.nn import functional

from suiren.core.formats import round_to
from suiren.core.kernel import Kernel
from suiren.core.tile import KernelMistake
from suiren.kernels import matmul, matmul_split

TILES = {"tm": 32, "tn": 16, "tk": 16}
SHAPES = [(32, 32, 32), (1, 1, 1), (33, 17, 19), (1, 50, 40), (70, 1, 5), (5, 70, 100)]
F32 = {"A": "f32", "B": "f32", "C": "f32"}


def sized(m: int, n: int, k: int, **more: int | str) -> dict[str, int | str]:
    return {"M": m, "N": n, "K": k, **F32, **more}


def formats(t: str) -> dict[str, str]:
    return {"A": t, "B": t, "C": t}


def stored(kernel: str, layout: str) -> Kernel:
    found = getattr(matmul, f"{kernel}_{layout}", None)
    return found or getattr(matmul_split, f"{kernel}_{layout}")


def product(layout: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.mT if layout[0] == "t" else a) @ (b.mT if layout[1] == "t" else b)


@pytest.mark.parametrize("layout", matmul.LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_product_of_operands_that_lie_either_way(layout: str, shape: tuple[int, int, int]) -> None:
    agrees(stored("matmul", layout), sized(*shape), partial(product, layout), options=TILES)


@pytest.mark.parametrize("t", ["bf16", "f16", "f64"])
@pytest.mark.parametrize("stages", [1, 4])
def test_formats_and_depths_of_buffering(t: str, stages: int) -> None:
    sizes = {"M": 40, "N": 24, "K": 50, **formats(t)}
    agrees(matmul.matmul_nt, sizes, partial(product, "nt"), options={**TILES, "stages": stages})


def test_the_tiles_offered_first_fit_a_small_product() -> None:
    agrees(matmul.matmul_nn, sized(30, 20, 10), torch.matmul)


@pytest.mark.parametrize(
    "option", [{"sums": 2}, {"resident": 2}, {"fresh": True}, {"multicast": True}, {"tk": 1}]
)
def test_the_walk_over_tiles_changes_no_result(option: dict[str, int]) -> None:
    tiles = {"tm": 8, "tn": 8, "tk": 16, **option}
    agrees(matmul.matmul_nn, sized(40, 44, 20), torch.matmul, options=tiles)


def test_tf32_rounds_operands_and_not_the_sum() -> None:
    def rounded(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.tensor(round_to(a.numpy(), "tf32") @ round_to(b.numpy(), "tf32"))

    agrees(matmul.matmul_nn, sized(40, 24, 50), rounded, options={**TILES, "multiply": "tf32"})


def test_eight_bit_floats_of_two_kinds_multiply_into_bf16() -> None:
    sizes = {"M": 20, "N": 24, "K": 50, "A": "f8e4m3", "B": "f8e5m2", "C": "bf16"}
    agrees(matmul.matmul_nt, sizes, partial(product, "nt"), options=TILES)


def test_eight_bit_integers_sum_exactly_in_32_bits() -> None:
    rng = np.random.default_rng(0)
    whole = {"a": rng.integers(-128, 128, (20, 200)), "b": rng.integers(-128, 128, (24, 200))}
    sizes = {"M": 20, "N": 24, "K": 200, "A": "i8", "B": "i8", "C": "i32"}
    agrees(matmul.matmul_nt, sizes, partial(product, "nt"), options=TILES, inputs=whole)
    halved = {**TILES, "scale": 2.0**-10, "activation": "relu"}
    agrees(matmul.matmul_nt, {**sizes, "C": "f16"}, inputs=whole, options=halved,
           reference=lambda a, b: (product("nt", a, b).double() * 2.0**-10).relu())  # fmt: skip


ACTIVATIONS = {
    "relu": functional.relu, "gelu": functional.gelu, "silu": functional.silu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
}  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("t", ["f32", "bf16"])
def test_linear_with_an_activation(activation: str, t: str) -> None:
    def wanted(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return ACTIVATIONS[activation](functional.linear(a, b, bias))

    options = {**TILES, "activation": activation}
    agrees(matmul.linear_nt, {**sized(40, 20, 30), **formats(t)}, wanted, options=options)


@pytest.mark.parametrize("layout", matmul.LAYOUTS)
@pytest.mark.parametrize("shape", [(33, 17, 20), (1, 40, 5)])
def test_scale_bias_and_residual(layout: str, shape: tuple[int, int, int]) -> None:
    def wanted(
        a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor
    ) -> torch.Tensor:
        return 0.5 * product(layout, a, b) + bias + 2.0 * residual

    def added(a: torch.Tensor, b: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return 0.5 * product(layout, a, b) + 2.0 * residual

    options = {**TILES, "scale": 0.5, "beta": 2.0}
    agrees(stored("linear_add", layout), sized(*shape), wanted, options=options)
    agrees(stored("matmul_add", layout), sized(*shape), added, options=options)


@pytest.mark.parametrize("layout", matmul.LAYOUTS)
def test_batches(layout: str) -> None:
    agrees(stored("batched", layout), sized(20, 17, 30, G=3), partial(product, layout),
           options=TILES)  # fmt: skip
    agrees(stored("batched_add", layout), sized(20, 17, 30, G=2), options=TILES,
           reference=lambda a, b, c: product(layout, a, b) + c)  # fmt: skip


def test_an_activation_nobody_knows_is_a_mistake() -> None:
    with pytest.raises(KernelMistake, match="gelu_tanh"):
        matmul.matmul_nn.build(activation="mish")
