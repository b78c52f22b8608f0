"""Optimizers, schedules, clipping and averages update weights as on the host."""

from __future__ import annotations

import pytest
import torch
from device_helpers import cases, same, twins
from torch import nn
from training_steps import FP32, losses, mean_square

OPTIMIZERS = {
    "SGD": lambda p, **o: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, **o),
    "Adam": lambda p, **o: torch.optim.Adam(p, 0.01, amsgrad=True, **o),
    "AdamW": lambda p, **o: torch.optim.AdamW(p, 0.01, weight_decay=0.1, **o),
    "NAdam": lambda p, **o: torch.optim.NAdam(p, 0.01, **o),
    "RAdam": lambda p, **o: torch.optim.RAdam(p, 0.01, **o),
    "Adamax": lambda p, **o: torch.optim.Adamax(p, 0.01, **o),
    "Adagrad": lambda p, **o: torch.optim.Adagrad(p, 0.05, **o),
    "Adadelta": lambda p, **o: torch.optim.Adadelta(p, 1.0, **o),
    "RMSprop": lambda p, **o: torch.optim.RMSprop(p, 0.01, momentum=0.5, centered=True, **o),
    "Rprop": lambda p, **o: torch.optim.Rprop(p, 0.01, **o),
    "ASGD": lambda p, **o: torch.optim.ASGD(p, 0.05, **o),
    "Adafactor": lambda p, **o: torch.optim.Adafactor(p, 0.01, **o),
    "LBFGS": lambda p, **o: torch.optim.LBFGS(p, 0.1, max_iter=3, **o),
    "Muon": lambda p, **o: torch.optim.Muon(p, 0.01, **o),
}
FOREACH = [name for name in OPTIMIZERS if name not in ("LBFGS", "Muon")]
FUSED = ["SGD", "Adam", "AdamW", "Adagrad"]
MODES = [
    *((name, {}) for name in OPTIMIZERS),
    *((name, {"foreach": wanted}) for name in FOREACH for wanted in (True, False)),
    *((name, {"fused": True}) for name in FUSED),
    *((name, {"capturable": True}) for name in ("Adam", "AdamW", "NAdam")),
]


def _optimized_model(name):
    if name == "Muon":
        return nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False))
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def _name(mode):
    name, keywords = mode
    return "-".join([name, *(f"{k}={v}" for k, v in keywords.items())])


@pytest.mark.parametrize(("name", "keywords"), MODES, ids=map(_name, MODES))
def test_an_optimizer_updates_as_on_the_host(name, keywords):
    card, host = twins(_optimized_model(name))
    x = torch.randn(5, 8)
    make = OPTIMIZERS[name]
    on_card = losses(card, [x], lambda p: make(p, **keywords))
    on_host = losses(host, [x], make)
    # Muon orthogonalises in BF16.
    tolerance = {"rtol": 2e-2, "atol": 1e-3} if name == "Muon" else FP32
    assert on_card == pytest.approx(on_host, rel=tolerance["rtol"])
    same(dict(card.state_dict()), dict(host.state_dict()), **tolerance)


def test_parameter_groups_and_states_live_on_the_card():
    model = _optimized_model("AdamW").to("gcu")
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, 0.01)
    model(torch.randn(5, 8, device="gcu")).sum().backward()
    optimizer.step()
    states = [v for s in optimizer.state.values() for n, v in s.items() if n != "step"]
    assert len(states) == 8 and all(v.is_gcu for v in states)


SCHEDULES = {
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda k: min(1, (k + 1) / 3)),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=5),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
}


@pytest.mark.parametrize("schedule", cases(SCHEDULES))
def test_a_learning_rate_schedule_steps_as_on_the_host(schedule):
    def trained(model):
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scheduler = schedule(optimizer)
        for _ in range(4):
            optimizer.zero_grad()
            mean_square(model(x.to(model.weight.device))).backward()
            optimizer.step()
            scheduler.step()
        return model.weight.detach()

    x = torch.randn(3, 4)
    card, host = twins(nn.Linear(4, 4))
    same(trained(card), trained(host), **FP32)


def test_a_learning_rate_may_be_a_tensor_of_the_card():
    model = nn.Linear(2, 1).to("gcu")
    optimizer = torch.optim.AdamW(model.parameters(), torch.tensor(0.1, device="gcu"), fused=True)
    before = model.weight.detach().clone()
    model(torch.ones(1, 2, device="gcu")).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize("keywords", [{}, {"foreach": False}, {"norm_type": float("inf")}])
def test_clipping_the_norm_of_gradients_is_that_of_the_host(keywords):
    card, host = twins(_optimized_model("SGD"))
    x = torch.randn(5, 8)

    def clipped(model, x):
        model(x).pow(2).sum().backward()
        norm = nn.utils.clip_grad_norm_(
            model.parameters(), 0.1, error_if_nonfinite=True, **keywords
        )
        return norm, [p.grad for p in model.parameters()]

    found = clipped(card, x.to("gcu"))
    assert found[0].is_gcu
    same(found, clipped(host, x), **FP32)
    nn.utils.clip_grad_value_(card.parameters(), 1e-3)
    assert max(p.grad.abs().max().item() for p in card.parameters()) <= 1e-3 + 1e-9


def test_gradients_accumulate_over_micro_batches():
    card, host = twins(nn.Linear(4, 4))
    x = torch.randn(6, 4)
    for part in x.split(2):
        mean_square(card(part.to("gcu"))).div(3).backward()
    mean_square(host(x)).backward()
    same(card.weight.grad, host.weight.grad, **FP32)


def test_an_averaged_model_follows():
    model = nn.Linear(3, 3).to("gcu")
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5)
    )
    averaged.update_parameters(model)
    with torch.no_grad():
        start = model.weight.clone()
        model.weight.add_(1)
    averaged.update_parameters(model)
    same(averaged.module.weight, start + 0.5)
