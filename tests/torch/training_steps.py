"""A few training steps taken on the card and on the host, and their losses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_helpers import same, twins
from torch import nn

STEPS = 3
#: What three steps in FP32 may differ by, sums being ordered differently.
FP32 = {"rtol": 1e-4, "atol": 1e-5}


def mean_square(output):
    return output.float().pow(2).mean()


def losses(model, inputs, make_optimizer, loss_of=mean_square):
    """Losses of a few steps, taken where the model is."""
    device = next(model.parameters()).device
    inputs = [x.to(device) for x in inputs]
    optimizer = make_optimizer(model.parameters())
    found = []
    for _ in range(STEPS):

        def closure():
            optimizer.zero_grad()
            loss = loss_of(model(*inputs))
            loss.backward()
            return loss

        found.append(optimizer.step(closure).item())
    return found


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.05, momentum=0.9)


def trains_alike(model, inputs, make_optimizer=sgd, loss_of=mean_square, **tolerance):
    tolerance = tolerance or FP32
    card, host = twins(model)
    on_card = losses(card, inputs, make_optimizer, loss_of)
    assert on_card == pytest.approx(
        losses(host, inputs, make_optimizer, loss_of), rel=tolerance["rtol"]
    )
    assert len(set(on_card)) == STEPS
    same(dict(card.state_dict()), dict(host.state_dict()), **tolerance)


class TiedLanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(13, 8, padding_idx=0)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 13, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return F.cross_entropy(self.head(self.norm(self.embed(ids))).transpose(1, 2), ids)
