"""TF32: operands rounded to ten mantissa bits where the script's flags and the card allow it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, run_python, same
from torch import nn

from suiren.hw.load import resolve_card
from suiren.torch import _shim
from suiren.torch import device as gcu_device

# ---- the rounding itself


def reference_tf32(x: np.ndarray) -> np.ndarray:
    """Nearest multiple of the last of ten mantissa bits, ties to even, by arithmetic in FP64."""
    wide = x.astype(np.float64)
    _, exponent = np.frexp(wide)
    last_bit = np.ldexp(1.0, np.maximum(exponent - 11, -126 - 10))
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = (np.rint(wide / last_bit) * last_bit).astype(np.float32)
    return np.where(np.isfinite(x), rounded, x)


def bits(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)


def rounded_by_the_shim(x: np.ndarray) -> np.ndarray:
    return _shim.round_to_tf32(torch.from_numpy(x.copy())).numpy()


def patterns(*, exponents, mantissas) -> np.ndarray:
    sign, exponent, mantissa = np.meshgrid([0, 1], exponents, mantissas, indexing="ij")
    words = (sign << 31 | exponent << 23 | mantissa).astype(np.uint32).ravel()
    return words.view(np.float32)


_NEAR_TIES = [t + d for t in (0x1000, 0x3000, 0x7FF000, 0x7FE000) for d in (-1, 0, 1)]

NUMBERS = {
    "every low half of a mantissa": patterns(
        exponents=[0, 1, 100, 127, 254], mantissas=np.arange(1 << 15)
    ),
    "every exponent near ties": patterns(exponents=np.arange(255), mantissas=_NEAR_TIES),
    "denormals": patterns(exponents=[0], mantissas=np.arange(0, 1 << 23, 37)),
    "zeros": np.array([0.0, -0.0], dtype=np.float32),
    "infinity": np.array([np.inf, -np.inf], dtype=np.float32),
    "largest": np.array([3.4028235e38, -3.4028235e38, 3.4011621e38], dtype=np.float32),
    "random": np.random.default_rng(1).standard_normal(100_000).astype(np.float32),
}


@pytest.mark.parametrize("x", cases(NUMBERS))
def test_rounding_to_tf32_is_to_nearest_even_on_ten_bits(x):
    np.testing.assert_array_equal(bits(rounded_by_the_shim(x)), bits(reference_tf32(x)))


def test_not_a_number_stays_so():
    x = patterns(exponents=[255], mantissas=[1, 0x1000, 0x400000, 0x7FFFFF])
    assert np.isnan(rounded_by_the_shim(x)).all()


def test_a_rounded_number_is_not_rounded_again():
    x = NUMBERS["random"]
    once = rounded_by_the_shim(x)
    np.testing.assert_array_equal(bits(rounded_by_the_shim(once)), bits(once))


def test_rounding_leaves_its_argument_alone():
    x = torch.randn(100)
    before = x.clone()
    _shim.round_to_tf32(x)
    assert torch.equal(x, before)


# ---- when products use it

WIDE = 1 + 2.0**-12
"""Rounds to 1 in TF32."""


def tf32(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(reference_tf32(x.detach().cpu().numpy()))


def uses_tf32() -> bool:
    """Whether a product rounds its operands now."""
    x = torch.full((4, 4), WIDE, device="gcu")
    product = (x @ torch.eye(4, device="gcu")).unique().tolist()
    assert product in ([1.0], [WIDE])
    return product == [1.0]


def convolves_in_tf32() -> bool:
    x, w = torch.full((1, 1, 4, 4), WIDE, device="gcu"), torch.ones(1, 1, 1, 1, device="gcu")
    product = F.conv2d(x, w).unique().tolist()
    assert product in ([1.0], [WIDE])
    return product == [1.0]


@pytest.mark.parametrize(
    ("precision", "rounds"), [("highest", False), ("high", True), ("medium", True)]
)
def test_products_follow_the_matmul_precision(precision, rounds):
    torch.set_float32_matmul_precision(precision)
    assert uses_tf32() is rounds
    assert convolves_in_tf32() is False


def test_products_follow_allow_tf32_of_the_matmul_flags():
    assert uses_tf32() is False
    torch.backends.cuda.matmul.allow_tf32 = True
    assert uses_tf32() is True
    torch.backends.cuda.matmul.allow_tf32 = False
    assert uses_tf32() is False


def test_convolutions_follow_allow_tf32_of_cudnn():
    assert convolves_in_tf32() is False
    torch.backends.cudnn.allow_tf32 = True
    assert convolves_in_tf32() is True
    assert uses_tf32() is False


def test_convolutions_round_and_products_do_not_unless_told():
    code = (
        "import torch, torch_gcu\n"
        f"x = torch.full((1, 1, 2, 2), {WIDE}, device='gcu')\n"
        "y = torch.conv2d(x, torch.ones(1, 1, 1, 1, device='gcu')).unique().item()\n"
        "z = (x[0, 0] @ torch.eye(2, device='gcu')).unique().item()\n"
        "print(y == 1, z == 1)\n"
    )
    ran = run_python("-c", code)
    assert ran.stdout.split() == ["True", "False"], ran.stderr


NEWER_FLAGS = """
import torch, torch_gcu
x = torch.full((1, 1, 2, 2), 1 + 2.0**-12, device="gcu")
def rounds():
    conv = torch.conv2d(x, torch.ones(1, 1, 1, 1, device="gcu"))
    return [y.unique().item() == 1 for y in (x[0, 0] @ torch.eye(2, device="gcu"), conv)]
torch.backends.cuda.matmul.fp32_precision = "tf32"
torch.backends.cudnn.conv.fp32_precision = "ieee"
print(*rounds())
torch.backends.cuda.matmul.fp32_precision = "ieee"
torch.backends.cudnn.conv.fp32_precision = "tf32"
print(*rounds())
"""


def test_products_follow_the_newer_flags():
    ran = run_python("-c", NEWER_FLAGS)
    assert ran.stdout.split() == ["True", "False", "False", "True"], ran.stderr


@pytest.mark.parametrize(("mode", "rounds"), [("on", True), ("off", False)])
def test_the_session_s_mode_overrules_the_flags(session, mode, rounds):
    torch.set_float32_matmul_precision("highest" if rounds else "high")
    torch.backends.cudnn.allow_tf32 = not rounds
    try:
        gcu_device.configure(session.card, tf32=mode)
        assert uses_tf32() is rounds and convolves_in_tf32() is rounds
    finally:
        gcu_device.configure(session.card)


def test_a_card_without_tf32_never_rounds(session):
    card = resolve_card("v100")
    assert "tf32" not in card.formats()
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        gcu_device.configure(card)
        assert not uses_tf32() and not convolves_in_tf32()
    finally:
        gcu_device.configure(session.card)


# ---- what products answer

PRODUCTS = {
    "mm": lambda a, b, c: torch.mm(a, b),
    "bmm": lambda a, b, c: torch.bmm(a[None].repeat(2, 1, 1), b[None].repeat(2, 1, 1)),
    "batched matmul": lambda a, b, c: a[None, None].expand(2, 3, -1, -1) @ b,
    "linear": lambda a, b, c: F.linear(a, b),
    "linear with bias": lambda a, b, c: F.linear(a, b, c[0]),
    "addmm": lambda a, b, c: torch.addmm(c, a, b, beta=0.5),
    "baddbmm": lambda a, b, c: torch.baddbmm(c[None], a[None], b[None]),
    "addmm in place": lambda a, b, c: c.clone().addmm_(a, b),
    "mm out": lambda a, b, c: torch.mm(a, b, out=torch.empty_like(c)),
    "einsum": lambda a, b, c: torch.einsum("ij,jk->ik", a, b),
    "transposed": lambda a, b, c: a.t() @ b.t(),
    "sliced": lambda a, b, c: a[:, 3:9] @ b[3:9],
    "broadcast": lambda a, b, c: a[:1].expand(5, -1) @ b,
    "conv1d": lambda a, b, c: F.conv1d(a[None], b[:, :, None]),
    "conv2d": lambda a, b, c: F.conv2d(a.view(1, 4, 8, 8), b.view(4, 4, 4, 4)),
    "conv2d with bias": lambda a, b, c: F.conv2d(
        a.view(1, 4, 8, 8), b.view(4, 4, 4, 4), c[0, :4], padding=1
    ),
    "grouped conv": lambda a, b, c: F.conv2d(
        a.view(1, 4, 8, 8), b.view(-1)[:72].view(4, 2, 3, 3), groups=2
    ),
    "transposed conv": lambda a, b, c: F.conv_transpose2d(
        a.view(1, 4, 8, 8), b.view(-1)[:72].view(4, 2, 3, 3)
    ),
    "channels last": lambda a, b, c: F.conv2d(
        a.view(1, 4, 8, 8).to(memory_format=torch.channels_last), b.view(4, 4, 4, 4)
    ),
}


@pytest.fixture
def in_tf32():
    """Products and convolutions of the card round their operands."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize("product", cases(PRODUCTS))
def test_a_tf32_product_is_the_product_of_rounded_operands(in_tf32, product):
    a, b, c = (torch.randn(16, 16) for _ in range(3))
    card = product(*(x.to("gcu") for x in (a, b, c))).cpu()
    rounded = product(tf32(a).double(), tf32(b).double(), c.double())
    same(card.double(), rounded, rtol=1e-5, atol=1e-5)
    plain = product(a.double(), b.double(), c.double())
    assert (card.double() - plain).abs().max() > 1e-4


@pytest.mark.parametrize("product", cases(PRODUCTS))
def test_a_plain_product_is_that_of_fp32(product):
    a, b, c = (torch.randn(16, 16) for _ in range(3))
    card = product(*(x.to("gcu") for x in (a, b, c))).cpu()
    same(card.double(), product(a.double(), b.double(), c.double()), rtol=1e-5, atol=1e-5)


def test_a_product_with_the_identity_shows_every_rounded_bit(in_tf32):
    x = torch.from_numpy(NUMBERS["random"][:4096].reshape(64, 64).copy())
    card = x.to("gcu") @ torch.eye(64, device="gcu")
    np.testing.assert_array_equal(bits(card.cpu().numpy()), bits(reference_tf32(x.numpy())))


@pytest.mark.parametrize("layer", ["linear", "conv"])
def test_gradients_are_products_of_rounded_operands_too(in_tf32, layer):
    if layer == "linear":
        x, w = torch.randn(6, 8), torch.randn(5, 8)
        work = F.linear
    else:
        x, w = torch.randn(2, 3, 6, 6), torch.randn(4, 3, 3, 3)
        work = F.conv2d
    card = [t.to("gcu").requires_grad_() for t in (x, w)]
    out = work(*card)
    weight = torch.randn(out.shape)
    (out * weight.to("gcu")).sum().backward()
    exact = [tf32(t).double().requires_grad_() for t in (x, w)]
    (work(*exact) * tf32(weight).double()).sum().backward()
    for a, b in zip(card, exact, strict=True):
        same(a.grad.cpu().double(), b.grad, rtol=1e-5, atol=1e-5)


def test_attention_rounds_its_operands(in_tf32):
    q, k, v = (torch.randn(1, 2, 8, 16) for _ in range(3))
    card = F.scaled_dot_product_attention(*(x.to("gcu") for x in (q, k, v)))
    rounded = F.scaled_dot_product_attention(*(tf32(x) for x in (q, k, v)))
    plain = F.scaled_dot_product_attention(q, k, v)
    same(card, rounded, rtol=1e-3, atol=1e-3)
    assert (card.cpu() - rounded).abs().max() < 0.5 * (plain - rounded).abs().max()


def test_other_ops_and_formats_do_not_round(in_tf32):
    x = torch.full((4, 4), WIDE, device="gcu")
    assert (x * x).unique().item() == pytest.approx(WIDE * WIDE, rel=2**-23)
    assert x.sum(0).unique().item() == 4 * WIDE
    wide = x.double() @ torch.eye(4, dtype=torch.float64, device="gcu")
    assert wide.unique().item() == WIDE


@pytest.mark.parametrize("name", ["lstm", "encoder"])
def test_a_model_trains_in_tf32_near_fp32(in_tf32, name):
    if name == "lstm":
        model, x = nn.LSTM(8, 8), torch.randn(5, 2, 8)
    else:
        model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        x = torch.randn(2, 5, 8)

    def value(model, x):
        out = model(x)
        return (out[0] if isinstance(out, tuple) else out).detach()

    exact = value(model, x)
    card = value(model.to("gcu"), x.to("gcu")).cpu()
    assert 0 < (card - exact).abs().max() < 5e-3


# ---- 16-bit formats


@pytest.mark.parametrize(("dtype", "mantissa"), [(torch.bfloat16, 7), (torch.float16, 10)])
def test_conversion_to_16_bits_rounds_to_nearest_even(dtype, mantissa):
    x = torch.from_numpy(np.random.default_rng(2).uniform(1, 2, 10_000).astype(np.float32))
    step = 2.0**-mantissa
    x[:4] = torch.tensor([1 + step / 2, 1 + 1.5 * step, 1 + 2.5 * step, 1 + step / 2 + 2e-7])
    expected = np.rint(x.numpy().astype(np.float64) / step) * step
    np.testing.assert_array_equal(x.to("gcu").to(dtype).float().cpu().numpy(), expected)


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_a_16_bit_product_rounds_once_at_its_end(dtype, eps):
    a, b = torch.randn(64, 256).to(dtype), torch.randn(256, 64).to(dtype)
    card = (a.to("gcu") @ b.to("gcu")).cpu().double()
    exact = a.double() @ b.double()
    assert ((card - exact).abs() <= 1.05 * eps * exact.abs() + 1e-4).all()
