"""Attention and its gradients are those of the host, in every form that a script may ask."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, on_both, same

from suiren.trace.program import Kind


def heads(q=4, kv=4, length=6, keys=6, width=8):
    return [torch.randn(2, h, n, width) for h, n in ((q, length), (kv, keys), (kv, keys))]


ATTENTIONS = {
    "plain": (heads, {}),
    "causal": (heads, {"is_causal": True}),
    "scaled": (heads, {"scale": 0.5}),
    "bias": (heads, {"attn_mask": lambda: torch.randn(6, 6)}),
    "bias per head": (heads, {"attn_mask": lambda: torch.randn(2, 4, 6, 6)}),
    "boolean mask": (heads, {"attn_mask": lambda: torch.ones(6, 6).tril().bool()}),
    "padding mask": (
        heads,
        {"attn_mask": lambda: torch.tensor([True] * 4 + [False] * 2).expand(2, 1, 1, 6)},
    ),
    "more keys": (lambda: heads(keys=9), {}),
    "more keys, causal": (lambda: heads(keys=9), {"is_causal": True}),
    "one query": (lambda: heads(length=1), {}),
    "grouped": (lambda: heads(q=8, kv=2), {"enable_gqa": True}),
    "grouped, causal": (lambda: heads(q=8, kv=2), {"enable_gqa": True, "is_causal": True}),
    "one key head": (lambda: heads(q=4, kv=1), {"enable_gqa": True}),
    "without batch": (lambda: [x[0] for x in heads()], {"is_causal": True}),
    "five dimensions": (lambda: [x[None] for x in heads()], {}),
    "trained bias": (heads, {"attn_mask": lambda: torch.randn(6, 6).requires_grad_()}),
    "heads inside sequence": (
        lambda: [x.transpose(1, 2).contiguous().transpose(1, 2) for x in heads()],
        {"is_causal": True},
    ),
    "different value width": (lambda: [*heads()[:2], torch.randn(2, 4, 6, 5)], {}),
    "double": (lambda: [x.double() for x in heads()], {"is_causal": True}),
}


def _attend(tensors, keywords, device, dtype=None):
    def moved(x):
        x = x.to(dtype) if dtype is not None and x.is_floating_point() else x
        return x.detach().to(device).requires_grad_(x.requires_grad)

    q, k, v = (x.detach().to(device, dtype).requires_grad_() for x in tensors)
    keywords = {n: moved(x) if isinstance(x, torch.Tensor) else x for n, x in keywords.items()}
    mask = keywords.get("attn_mask")
    out = F.scaled_dot_product_attention(q, k, v, **keywords)
    (out.float() * torch.arange(out.numel(), device=device).view(out.shape).cos()).sum().backward()
    found = [out.detach(), q.grad, k.grad, v.grad]
    return [*found, mask.grad] if mask is not None and mask.requires_grad else found


@pytest.mark.parametrize(("make", "keywords"), cases(ATTENTIONS))
def test_attention_and_its_gradients_are_those_of_the_host(make, keywords):
    tensors = make()
    keywords = {n: x() if callable(x) else x for n, x in keywords.items()}
    on_both(lambda device: _attend(tensors, keywords, device), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
@pytest.mark.parametrize("name", ["plain", "causal", "grouped", "boolean mask"])
def test_attention_in_16_bits_is_within_its_format_of_fp32(name, dtype, eps):
    make, keywords = ATTENTIONS[name]
    tensors = [x.to(dtype).float() for x in make()]
    keywords = {n: x() if callable(x) else x for n, x in keywords.items()}
    exact = _attend(tensors, keywords, "cpu")
    card = _attend(tensors, keywords, "gcu", dtype)
    for a, b in zip(card, exact, strict=True):
        assert a.dtype == dtype
        same(a.float(), b, rtol=8 * eps, atol=8 * eps * b.abs().max().item())


def test_attention_masked_everywhere_answers_as_on_the_host():
    q = torch.randn(1, 1, 3, 8)
    mask = torch.tensor([[True, True, True], [False, False, False], [True, False, False]])
    on_both(lambda d: F.scaled_dot_product_attention(q.to(d), q.to(d), q.to(d), mask.to(d)))


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_attention_with_dropout_trains_and_has_the_right_mean(p):
    q, k, v = (x.to("gcu").requires_grad_() for x in heads(length=32, keys=32))
    exact = F.scaled_dot_product_attention(q, k, v).detach()
    total = torch.zeros_like(exact)
    for _ in range(100):
        total += F.scaled_dot_product_attention(q, k, v, dropout_p=p).detach()
    assert (total / 100 - exact).abs().mean().item() < 0.1 * exact.abs().mean().item() + 0.02
    F.scaled_dot_product_attention(q, k, v, dropout_p=p).sum().backward()
    assert q.grad.isfinite().all() and v.grad.sum().item() != 0


def test_the_gradient_of_attention_with_dropout_is_that_of_its_own_mask():
    q, k, v = (x.to("gcu").double().float().requires_grad_() for x in heads(length=4, keys=4))
    torch.manual_seed(3)
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    out.sum().backward()

    def value(moved):
        torch.manual_seed(3)
        return F.scaled_dot_product_attention(moved, k, v, dropout_p=0.3).sum().item()

    step = torch.zeros_like(q)
    step[0, 1, 2, 3] = 1e-2
    slope = (value(q.detach() + step) - value(q.detach() - step)) / 2e-2
    assert q.grad[0, 1, 2, 3].item() == pytest.approx(slope, rel=0.02, abs=2e-3)


@pytest.mark.parametrize(
    ("kernel", "op"),
    [
        ("FLASH_ATTENTION", "_scaled_dot_product_fused_attention_overrideable"),
        ("EFFICIENT_ATTENTION", "_scaled_dot_product_fused_attention_overrideable"),
        ("OVERRIDEABLE", "_scaled_dot_product_fused_attention_overrideable"),
        ("MATH", "bmm"),
    ],
)
def test_attention_is_one_op_unless_the_script_chose_plain_maths(session, kernel, op):
    q = torch.randn(2, 3, 4, 8, device="gcu")
    before = len(session.program().rest.events)
    with torch.nn.attention.sdpa_kernel([getattr(torch.nn.attention.SDPBackend, kernel)]):
        F.scaled_dot_product_attention(q, q, q)
    program = session.program()
    rows = program.rest.events[before:].tolist()
    names = {program.calls[what].name for kind, what, *_ in rows if kind == Kind.OP}
    assert op in names
