"""Elementwise kernels agree with PyTorch, for every operation, format, broadcast and tile."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from against_torch import agrees

from suiren.core.emulate import emulate
from suiren.core.instruction import INSTRUCTIONS, philox
from suiren.core.tile import KernelMistake
from suiren.kernels.chain import Chain
from suiren.kernels.operations import OPERATIONS
from suiren.kernels.pointwise import merged, op, pointwise

aten = torch.ops.aten

#: By operation; inputs are float64.
UNARY = {
    "copy": lambda x: x, "neg": torch.neg, "abs": torch.abs, "sign": torch.sign,
    "floor": torch.floor, "ceil": torch.ceil, "round": torch.round, "trunc": torch.trunc,
    "square": torch.square, "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1,
    "sin": torch.sin, "cos": torch.cos, "atan": torch.atan, "tanh": torch.tanh,
    "sigmoid": torch.sigmoid, "erf": torch.erf, "relu": F.relu, "leaky_relu": F.leaky_relu,
    "elu": F.elu, "clamp": lambda x: x.clamp(-1, 1), "softplus": F.softplus, "silu": F.silu,
    "mish": F.mish, "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish, "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "isnan": torch.isnan,
    "isfinite": torch.isfinite, "logical_not": torch.logical_not,
    "add_scalar": lambda x: x + 1, "mul_scalar": lambda x: x * 2, "rsub_scalar": lambda x: 1 - x,
    "pow_scalar": lambda x: x**2,
}  # fmt: skip
POSITIVE = {
    "log": torch.log, "log2": torch.log2, "log1p": torch.log1p, "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal, "tan": torch.tan,
}  # fmt: skip
BINARY = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum,
    "minimum": torch.minimum, "eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le,
    "gt": torch.gt, "ge": torch.ge, "logical_and": torch.logical_and,
    "logical_or": torch.logical_or, "logical_xor": torch.logical_xor,
}  # fmt: skip
OTHERS = {
    "addcmul": torch.addcmul, "lerp": torch.lerp, "swiglu": lambda a, b: F.silu(a) * b,
    "geglu": lambda a, b: F.gelu(a) * b,
}  # fmt: skip
GRADIENTS = {
    "relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu, "softplus": F.softplus,
    "clamp": lambda x: x.clamp(-1, 1), "silu": F.silu, "mish": F.mish,
    "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish, "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "pow_scalar": lambda x: x**2,
    "mul": torch.mul, "maximum": torch.maximum, "swiglu": lambda a, b: F.silu(a) * b,
}  # fmt: skip
FROM_RESULT = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "sqrt": torch.sqrt,
               "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal}  # fmt: skip
FORMATS = ("f32", "bf16", "f16")


def gradient(function):
    def wanted(g, *inputs):
        inputs = [i.requires_grad_() for i in inputs]
        return torch.autograd.grad(function(*inputs), inputs, g)

    return wanted


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("form", FORMATS)
def test_operations_of_one_tensor(name, form):
    agrees(op(name, "N"), {"N": 300, "T": form}, UNARY[name], options={"tile": 128})


@pytest.mark.parametrize("name", POSITIVE)
def test_operations_of_one_positive_tensor(name):
    x = np.random.default_rng(1).uniform(0.1, 1.4, 77)
    agrees(op(name, "N"), {"N": 77, "T": "f32"}, POSITIVE[name], inputs={"x": x}, slack=32)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("form", [*FORMATS, "i32"])
def test_operations_of_two_tensors(name, form):
    rng = np.random.default_rng(2)
    inputs = {n: rng.integers(-3, 3, (9, 14)) for n in "ab"}
    agrees(op(name, "M,N"), {"M": 9, "N": 14, "T": form}, BINARY[name], inputs=inputs,
           options={"tile": 32})  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_operations_of_three_tensors(name):
    agrees(op(name, "M,N"), {"M": 5, "N": 40, "T": "bf16"}, OTHERS[name], options={"tile": 64})


def test_quotients_and_powers():
    rng = np.random.default_rng(3)
    inputs = {"a": rng.uniform(0.5, 3, (6, 7)), "b": rng.uniform(0.5, 3, (6, 7))}
    sizes = {"M": 6, "N": 7, "T": "f32"}
    agrees(op("div", "M,N"), sizes, torch.div, inputs=inputs)
    agrees(op("pow", "M,N"), sizes, torch.pow, inputs=inputs)
    agrees(op("div_backward", "M,N"), sizes, gradient(torch.div), inputs=inputs)
    agrees(op("addcdiv", "M,N"), sizes, torch.addcdiv, inputs=inputs)


def test_whole_numbers_divide_towards_minus_infinity():
    inputs = {"a": np.arange(-8, 8), "b": np.array([3, -3] * 8)}
    sizes = {"N": 16, "T": "i64"}
    agrees(op("floor_divide", "N"), sizes, torch.floor_divide, inputs=inputs)
    agrees(op("remainder", "N"), sizes, torch.remainder, inputs=inputs)


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("form", ["f32", "bf16"])
def test_gradients(name, form):
    sizes = {"M": 7, "N": 33, "T": form}
    agrees(op(f"{name}_backward", "M,N"), sizes, gradient(GRADIENTS[name]), options={"tile": 50})


@pytest.mark.parametrize("name", FROM_RESULT)
def test_gradients_from_the_result(name):
    x = torch.rand(50, dtype=torch.float64) + 0.5
    out = FROM_RESULT[name](x.requires_grad_())
    given = {"out": out.detach().numpy()}
    agrees(op(f"{name}_backward", "N"), {"N": 50, "T": "f32"},
           lambda g, _: torch.autograd.grad(out, x, g), inputs=given, slack=64)  # fmt: skip


@pytest.mark.parametrize("dims", [("M,N", "N"), ("M,N", "M"), ("M,N", "1"), ("N", "M,N"),
                                  ("B,M,N", "B,N"), ("B,M,N", "M"), ("M,N", "N,M")])  # fmt: skip
@pytest.mark.parametrize("tile", [1, 24, 4096])
def test_tensors_broadcast_by_the_names_of_their_dimensions(dims, tile):
    sizes = {"B": 2, "M": 5, "N": 17, "T": "f32"}
    whole = max(dims, key=len)

    def wanted(a, b):
        made = []
        for x, text in zip((a, b), dims, strict=True):
            own = [d for d in text.split(",") if d != "1"]
            x = x.reshape([sizes[d] for d in own])
            x = x.permute(sorted(range(len(own)), key=lambda d: whole.index(own[d])))
            made.append(x.reshape([sizes[d] if d in own else 1 for d in whole.split(",")]))
        return made[0] * made[1]

    agrees(op("mul", *dims), sizes, wanted, options={"tile": tile})


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (64, 64), (3, 4097)])
@pytest.mark.parametrize("stages", [1, 3])
def test_any_shape_and_depth(shape, stages):
    sizes = {"M": shape[0], "N": shape[1], "T": "f16"}
    agrees(op("add", "M,N", "N"), sizes, torch.add, options={"tile": 512, "stages": stages})


def test_a_long_chain_is_one_pass():
    fused = pointwise(
        "x T[M,N]; bias T[N]; skip T[M,N] -> y T[M,N]; mean f32[M,N]",
        """h = x + bias
           h = h * (erf(h * 0.7071067811865476) * 0.5 + 0.5)
           y = h * rate + skip
           mean = y * 0.5""",
        rate=1.0,
    )

    def wanted(x, bias, skip):
        y = F.gelu(x + bias) * 0.3 + skip
        return y, y / 2

    sizes = {"M": 12, "N": 30, "T": "bf16"}
    agrees(fused, sizes, wanted, options={"tile": 100, "rate": 0.3})
    program = fused.build(sizes)
    assert [s.name for s in program.steps()].count("load") == 3
    assert len([t for t in program.tiles if t.space == "registers"]) <= 3


def test_a_result_that_is_read_first_is_updated_in_place():
    y = np.arange(20.0)
    grow = pointwise("x T[N] -> y T[N]", "y = y * 0.5 + x")
    agrees(grow, {"N": 20, "T": "f32"}, lambda x: torch.from_numpy(y) / 2 + x, inputs={"y": y},
           options={"tile": 6})  # fmt: skip


def test_selections_and_masks():
    mask = np.random.default_rng(4).integers(0, 2, (6, 10))
    sizes = {"M": 6, "N": 10, "T": "bf16"}
    agrees(op("where", "M,N", "M,N", "1"), sizes,
           lambda m, a, b: torch.where(m.bool(), a, b), inputs={"mask": mask})  # fmt: skip
    agrees(op("masked_fill", "M,N"), sizes, lambda x, m: x.masked_fill(m.bool(), -3),
           inputs={"mask": mask}, options={"value": -3})  # fmt: skip
    agrees(op("tril", "B,M,N"), {**sizes, "B": 2}, lambda x: x.tril(-1), options={"diagonal": -1})
    agrees(op("triu", "M,N"), sizes, lambda x: x.triu(2), options={"diagonal": 2, "tile": 7})


def test_numbers_from_nothing():
    agrees(op("fill", "M,N"), {"M": 3, "N": 9, "T": "bf16"}, lambda: torch.full((3, 9), 7.0),
           options={"value": 7})  # fmt: skip
    agrees(op("arange", "N"), {"N": 90, "T": "i64"}, lambda: torch.arange(5, 275, 3),
           options={"start": 5, "step": 3, "tile": 16})  # fmt: skip
    agrees(op("eq", "M,N", "N", formats={"a": "i64", "b": "i64"}), {"M": 4, "N": 5}, torch.eq,
           inputs={"a": np.ones((4, 5)), "b": np.arange(5)})  # fmt: skip


@pytest.mark.parametrize("tile", [10, 64])
def test_dropout_keeps_what_the_random_numbers_say_whatever_the_tiles(tile):
    places = np.arange(7 * 13).reshape(7, 13)
    keep = torch.from_numpy(INSTRUCTIONS["random"].meaning(places, 5) < 0.8)
    sizes = {"M": 7, "N": 13, "T": "bf16"}
    agrees(op("dropout", "M,N"), sizes, lambda x: (x / 0.8 * keep, keep),
           options={"keep": 0.8, "seed": 5, "tile": tile})  # fmt: skip
    agrees(op("dropout_backward", "M,N"), sizes, lambda g, m: g / 0.8 * m,
           options={"keep": 0.8}, inputs={"mask": keep.numpy()})  # fmt: skip


def test_random_words_are_those_of_the_paper():
    # Known answers of Random123, philox4x32-10.
    zero = np.zeros(1, np.uint64)
    assert [int(w[0]) for w in philox(zero, 0)] == [
        0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # fmt: skip


def test_random_numbers_have_the_moments_they_should():
    drawn = {}
    for name in ("uniform", "normal", "bernoulli"):
        program = op(name, "N").build({"N": 20_000, "T": "f32"}, seed=3)
        drawn[name] = emulate(program, {})["y"]
    for name, mean, std in (("uniform", 0.5, 12**-0.5), ("normal", 0, 1), ("bernoulli", 0.5, 0.5)):
        assert drawn[name].mean() == pytest.approx(mean, abs=0.02)
        assert drawn[name].std() == pytest.approx(std, abs=0.02)


def test_shapes_of_a_broadcast_merge_to_few_dimensions():
    assert merged([(4, 5, 6), (4, 5, 6)]) == (("A", "A"), {"A": 120})
    assert merged([(8, 3, 7, 7), (1, 3, 1, 1)]) == (("A,B,C", "B"), {"A": 8, "B": 3, "C": 49})
    assert merged([(4, 1), (1, 5)]) == (("A", "B"), {"A": 4, "B": 5})
    assert merged([(2, 3, 4), (4,)]) == (("A,B", "B"), {"A": 6, "B": 4})
    assert merged([(1, 1), ()]) == (("A", "A"), {"A": 1})


def test_merged_dimensions_make_a_kernel():
    names, sizes = merged([(4, 1), (1, 5), (4, 5)])
    agrees(op("add", *names), {**sizes, "T": "f32"}, lambda a, b: a[:, None] + b)


def test_every_operation_has_been_tried():
    tried = {*UNARY, *POSITIVE, *BINARY, *OTHERS, *(f"{n}_backward" for n in GRADIENTS),
             *(f"{n}_backward" for n in FROM_RESULT), "div", "pow", "div_backward", "addcdiv",
             "floor_divide", "remainder", "where", "masked_fill", "tril", "triu", "fill", "arange",
             "dropout", "dropout_backward", "uniform", "normal", "bernoulli"}  # fmt: skip
    assert set(OPERATIONS) == tried


@pytest.mark.parametrize("text", ["y = x @ x", "y + 1", "y = wave(x)", "y = (", "y = x if x"])
def test_what_is_no_chain_is_said_so(text):
    with pytest.raises(KernelMistake):
        Chain.parse(text)


def test_a_name_that_nothing_makes_is_told():
    with pytest.raises(KernelMistake, match="rate"):
        pointwise("x T[N] -> y T[N]", "y = x * rate").build({"N": 4, "T": "f32"})
