"""Losses and their gradients are those of the host."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, on_both


def _pairs():
    return torch.rand(4, 5), torch.rand(4, 5)


LOSSES = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
    "bce with logits": F.binary_cross_entropy_with_logits,
    "kl": lambda x, y: F.kl_div(x.log_softmax(-1), y.softmax(-1), reduction="batchmean"),
    "cross entropy": lambda x, y: F.cross_entropy(x, y.argmax(-1), label_smoothing=0.1),
    "soft cross entropy": lambda x, y: F.cross_entropy(x, y.softmax(-1)),
    "nll with ignored": lambda x, y: F.nll_loss(
        x.log_softmax(-1), y.argmax(-1), ignore_index=int(y[0].argmax())
    ),
    "poisson": F.poisson_nll_loss,
    "gaussian": lambda x, y: F.gaussian_nll_loss(x, y, torch.ones_like(x)),
    "cosine": lambda x, y: F.cosine_embedding_loss(x, y, torch.ones(4, device=x.device)),
    "triplet": lambda x, y: F.triplet_margin_loss(x, y, y.flip(0)),
    "margin": lambda x, y: F.multi_margin_loss(x, y.argmax(-1)),
    "ctc": lambda x, y: F.ctc_loss(
        x[:, None].expand(4, 2, 5).log_softmax(-1),
        torch.tensor([[1, 2], [3, 1]], device=x.device),
        torch.tensor([4, 4]),
        torch.tensor([2, 1]),
    ),
    "distance": lambda x, y: torch.dist(x, y),
    "norm": lambda x, y: torch.linalg.vector_norm(x - y),
    "prod and cummax": lambda x, y: x.prod(1).sum() + y.cummax(1)[0].sum(),
}


@pytest.mark.parametrize("loss_of", cases(LOSSES))
def test_a_loss_and_its_gradients_are_those_of_the_host(loss_of):
    x, y = _pairs()

    def found(device):
        a = x.to(device).requires_grad_()
        loss = loss_of(a, y.to(device))
        loss.backward()
        return loss.detach(), a.grad

    on_both(found)
