"""Derivatives of every order, hooks and functional transforms answer as on the host."""

from __future__ import annotations

import warnings

import pytest
import torch
from device_helpers import cases, on_both, same, twins
from torch import nn
from torch.utils.checkpoint import checkpoint
from training_steps import FP32


def test_second_derivatives_are_those_of_the_host():
    x = torch.randn(4)

    def second(device):
        a = x.to(device).requires_grad_()
        (first,) = torch.autograd.grad((a**3).sin().sum(), a, create_graph=True)
        (first**2).sum().backward()
        return first.detach(), a.grad

    on_both(second, rtol=1e-4, atol=1e-4)


def test_a_gradient_penalty_trains_as_on_the_host():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def gradients(model, x):
        x = x.requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        ((slope.norm(dim=1) - 1) ** 2).mean().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    card, host = twins(model)
    x = torch.randn(5, 4)
    same(gradients(card, x.to("gcu")), gradients(host, x.clone()), **FP32)


def test_hooks_of_tensors_modules_and_parameters_are_called():
    called = []
    layer = nn.Linear(2, 2).to("gcu")
    layer.register_forward_pre_hook(lambda *_: called.append("before"))
    layer.register_forward_hook(lambda *_: called.append("after"))
    layer.register_full_backward_hook(lambda *_: called.append("backward"))
    layer.weight.register_hook(lambda g: called.append("gradient") or g * 2)
    layer.weight.register_post_accumulate_grad_hook(lambda _: called.append("accumulated"))
    x = torch.ones(1, 2, device="gcu", requires_grad=True)
    layer(x).sum().backward()
    assert set(called) == {"before", "after", "backward", "gradient", "accumulated"}
    assert layer.weight.grad.tolist() == [[2, 2], [2, 2]]


def test_saved_tensor_hooks_can_keep_activations_on_the_host():
    x = torch.randn(8, 8, device="gcu", requires_grad=True)
    with torch.autograd.graph.save_on_cpu(pin_memory=True):
        y = (x.exp() * x).sum()
    y.backward()
    host = x.detach().cpu().requires_grad_()
    (host.exp() * host).sum().backward()
    same(x.grad, host.grad)


def test_a_custom_function_computes_on_the_card():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            assert x.is_gcu and grad.is_gcu
            return grad * 2

    x = torch.ones(3, device="gcu", requires_grad=True)
    Twice.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_numerical_gradients_agree():
    x = torch.rand(3, 2, dtype=torch.float64, device="gcu", requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: (a.exp() @ a.t()).logsumexp(0), (x,))
    assert torch.autograd.gradgradcheck(lambda a: a.tanh().prod(0), (x,))


def test_anomalies_are_found_on_the_card():
    x = torch.zeros(1, device="gcu", requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan"):
            (x.sqrt() * 0).sum().backward()


FUNCTIONAL = {
    "grad": lambda f, x: torch.func.grad(f)(x),
    "vmap": lambda f, x: torch.vmap(f)(torch.stack([x, x * 2])),
    "grad per sample": lambda f, x: torch.vmap(torch.func.grad(f))(torch.stack([x, x * 2])),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),)),
    "vjp": lambda f, x: torch.func.vjp(f, x)[1](torch.tensor(2.0, device=x.device)),
    "jacrev": lambda f, x: torch.func.jacrev(lambda a: a.sin() * a)(x),
    "jacfwd": lambda f, x: torch.func.jacfwd(lambda a: a.sin() * a)(x),
    "vmap of a product": lambda f, x: torch.vmap(lambda a: a.outer(a) @ a)(torch.stack([x, x])),
}


@pytest.mark.parametrize("transform", cases(FUNCTIONAL))
def test_functional_transforms_answer_as_on_the_host(transform):
    x = torch.randn(4)
    on_both(
        lambda device: transform(lambda a: (a.sin() ** 2).sum(), x.to(device)),
        rtol=1e-4,
        atol=1e-5,
    )


def test_second_derivatives_by_forward_mode_are_those_of_the_host():
    x = torch.randn(4)
    on_both(lambda device: torch.func.hessian(lambda a: a.sin().sum())(x.to(device)))


def test_a_module_can_be_called_with_other_weights():
    layer = nn.Linear(3, 2).to("gcu")
    weights = {n: torch.zeros_like(p) for n, p in layer.named_parameters()}
    out = torch.func.functional_call(layer, weights, torch.ones(1, 3, device="gcu"))
    assert out.tolist() == [[0, 0]]


def test_checkpointing_with_dropout_draws_the_same_mask_again():
    block = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)).to("gcu")
    x = torch.ones(4, 8, device="gcu", requires_grad=True)
    for reentrant in (False, True):
        torch.manual_seed(7)
        block.zero_grad()
        checkpoint(block, x, use_reentrant=reentrant).sum().backward()
        again = block[0].weight.grad.clone()
        torch.manual_seed(7)
        block.zero_grad()
        block(x).sum().backward()
        same(again, block[0].weight.grad)
