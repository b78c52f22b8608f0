"""Autocast, scaled gradients and 16-bit weights train within their format."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_helpers import same, twins
from torch import nn
from training_steps import STEPS, losses, mean_square, sgd


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_autocast_trains_within_its_format_of_fp32(dtype, eps):
    card, host = twins(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))
    x = torch.randn(5, 8)
    optimizer = sgd(card.parameters())
    scaler = torch.amp.GradScaler("gcu", enabled=dtype == torch.float16)
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("gcu", dtype=dtype):
            out = card(x.to("gcu"))
        assert out.dtype == dtype
        loss = mean_square(out)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(card.parameters(), 100.0)
        scaler.step(optimizer)
        scaler.update()
        found.append(loss.item())
    assert found == pytest.approx(losses(host, [x], sgd), rel=16 * eps)
    assert card[0].weight.grad.dtype == torch.float32


def test_autocast_chooses_formats_as_on_other_accelerators():
    x = torch.randn(4, 8, device="gcu")
    layer, norm = nn.Linear(8, 8).to("gcu"), nn.LayerNorm(8).to("gcu")
    conv = nn.Conv2d(1, 1, 3).to("gcu")
    with torch.autocast("gcu", dtype=torch.bfloat16):
        assert torch.get_autocast_dtype("gcu") == torch.bfloat16
        h = layer(x)
        assert h.dtype == torch.bfloat16
        assert (x @ x.t()).dtype == torch.bfloat16
        assert conv(x[None, None]).dtype == torch.bfloat16
        assert norm(h).dtype == torch.float32
        assert h.softmax(-1).dtype == torch.float32
        assert h.exp().dtype == torch.float32
        assert h.sum().dtype == torch.float32
        assert F.mse_loss(h, x).dtype == torch.float32
        assert torch.cat([h, x]).dtype == torch.float32
        assert h.relu().dtype == torch.bfloat16
        q = x.view(1, 1, 4, 8)
        assert F.scaled_dot_product_attention(q, q, q).dtype == torch.bfloat16
        with torch.autocast("gcu", enabled=False):
            assert layer(x).dtype == torch.float32
    assert layer(x).dtype == torch.float32
    with torch.gcu.amp.autocast():
        assert layer(x).dtype == torch.float16


def test_the_grad_scaler_skips_a_step_with_infinite_gradients():
    model = nn.Linear(2, 1, bias=False).to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.gcu.amp.GradScaler(init_scale=1024.0)
    before = model.weight.detach().clone()
    scaler.scale((model(torch.ones(1, 2, device="gcu")) * float("inf")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(model.weight, before)
    assert scaler.get_scale() == 512
    optimizer.zero_grad()
    scaler.scale(model(torch.ones(1, 2, device="gcu")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    same(model.weight.detach(), before - 0.1)
    twin = torch.amp.GradScaler("gcu")
    twin.load_state_dict(scaler.state_dict())
    assert twin.get_scale() == 512


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_a_model_held_in_16_bits_computes_within_its_format(dtype, eps):
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 8))
    x = torch.randn(16, 64)
    with torch.no_grad():
        exact = model(x)
    card = model.to("gcu", dtype)(x.to("gcu", dtype))
    assert card.dtype == dtype
    same(card.float(), exact, rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize(
    "op",
    [
        lambda a, b, c: a @ b,
        lambda a, b, c: torch.mm(a, b),
        lambda a, b, c: torch.addmm(c, a, b, beta=0.5, alpha=2.0),
        lambda a, b, c: torch.bmm(a[None], b[None]),
        lambda a, b, c: torch.baddbmm(c[None], a[None], b[None]),
        lambda a, b, c: F.linear(a, b.t(), c[0]),
        lambda a, b, c: torch.mv(a, b[:, 0].contiguous()),
        lambda a, b, c: torch.mm(a, b, out=torch.empty_like(c)),
        lambda a, b, c: c.clone().addmm_(a, b),
    ],
)
def test_an_fp16_product_is_summed_in_fp32_and_rounded_once(op):
    a, b, c = (torch.randn(32, 32).half() for _ in range(3))
    card = op(*(x.to("gcu") for x in (a, b, c)))
    exact = op(*(x.double() for x in (a, b, c)))
    assert card.dtype == torch.float16
    same(card.cpu().double(), exact, rtol=2**-10, atol=2**-8)
