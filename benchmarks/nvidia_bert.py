"""BERT as NVIDIA's DeepLearningExamples train it on SQuAD, and the two optimizers of its script.

PyTorch/LanguageModeling/BERT of that repository: `modeling.py`, `optimization.py`, `run_squad.py`.
With FP16 the whole model is halved (apex O2) and weights are kept in FP32 beside it; with FP32 the
optimizer is a loop over the parameters in Python. Lambda's fork of the script leaves out the line
that puts PyTorch's GELU in the place of `modeling.py`'s, which is written out.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    """Scores in memory: products, scale, mask, softmax and dropout are kernels of their own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.dense = (nn.Linear(width, width) for _ in range(4))
        self.norm = nn.LayerNorm(width)

    def split(self, x):
        """[batch, tokens, heads, width of a head]."""
        return x.reshape(*x.shape[:2], self.heads, -1)

    def forward(self, x, mask):
        """States [batch, tokens, width] with what they attend to."""
        query = self.split(self.query(x)).permute(0, 2, 1, 3)
        key = self.split(self.key(x)).permute(0, 2, 3, 1)
        value = self.split(self.value(x)).permute(0, 2, 1, 3)
        scores = torch.matmul(query, key) / sqrt(query.shape[-1]) + mask
        shares = functional.dropout(functional.softmax(scores, dim=-1), 0.1)
        found = torch.matmul(shares, value).permute(0, 2, 1, 3).contiguous().reshape(x.shape)
        return self.norm(functional.dropout(self.dense(found), 0.1) + x)


def gelu_written_out(x):
    """GELU as five kernels."""
    return x * 0.5 * (1.0 + torch.erf(x / 1.41421))


class Layer(nn.Module):
    """The bias of the wide product is a kernel of its own before the GELU."""

    def __init__(self, width: int, heads: int, written_out: bool) -> None:
        super().__init__()
        self.gelu = gelu_written_out if written_out else functional.gelu
        self.attention = Attention(width, heads)
        self.wide = nn.Linear(width, 4 * width, bias=False)
        self.bias = nn.Parameter(torch.zeros(4 * width))
        self.dense, self.norm = nn.Linear(4 * width, width), nn.LayerNorm(width)

    def forward(self, x, mask):
        """States [batch, tokens, width]."""
        x = self.attention(x, mask)
        return self.norm(
            functional.dropout(self.dense(self.gelu(self.bias + self.wide(x))), 0.1) + x
        )


class NvidiaSquad(nn.Module):
    """Questions to the loss of an answer's first and last token."""

    def __init__(self, layers: int, width: int, heads: int, half: bool, written_out: bool) -> None:
        super().__init__()
        self.half_precision = half
        self.words, self.places = nn.Embedding(30522, width), nn.Embedding(512, width)
        self.kinds, self.norm = nn.Embedding(2, width), nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width, heads, written_out) for _ in range(layers))
        self.ends = nn.Linear(width, 2)
        if half:
            self.half()

    def forward(self, ids, mask, first, last):
        """Loss of both ends."""
        places = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0).expand_as(ids)
        x = self.words(ids) + self.places(places) + self.kinds(torch.zeros_like(ids))
        x = functional.dropout(self.norm(x), 0.1)
        mask = mask.to(x.dtype)
        for layer in self.layers:
            x = layer(x, mask)
        start, end = self.ends(x).split(1, dim=-1)
        losses = [functional.cross_entropy(side.squeeze(-1), where)
                  for side, where in ((start, first), (end, last))]  # fmt: skip
        return (losses[0] + losses[1]) / 2


class BertAdam(torch.optim.Optimizer):
    """FP32: a norm that the host waits for, then a dozen kernels for every parameter."""

    def __init__(self, parameters) -> None:
        super().__init__(parameters, {"lr": 1e-5})

    @torch.no_grad()
    def step(self, closure=None):
        """One update; what the script clips is a copy of the parameter."""
        held = [p for group in self.param_groups for p in group["params"]]
        gradients = [p.grad for p in held]
        norms = torch._foreach_norm(gradients)
        torch.stack(norms).norm().item()  # the script's GradientClipper
        torch._foreach_mul_(gradients, 0.5)
        torch.stack(torch._foreach_norm(held)).norm().item()
        for p in held:
            state = self.state[p]
            if not state:
                state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
            m, v = state["m"], state["v"]
            clipped = p * 1.0 / 7.0
            m.mul_(0.9).add_(p.grad, alpha=0.1)
            v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            update = m / (v.sqrt() + 1e-6)
            if p.dim() > 1:
                update += 0.01 * clipped
            clipped.add_(-(1e-5 * update))

    def zero_grad(self, set_to_none=False):
        """PyTorch before 2.0 keeps gradients and fills them with zeros, one after the other."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.zero_()


class MasterAdam(torch.optim.Optimizer):
    """FP16 under apex O2: FP32 copies of weights and gradients, fused kernels over all of them."""

    def __init__(self, parameters) -> None:
        super().__init__(parameters, {"lr": 1e-5})
        self.halves = [p for group in self.param_groups for p in group["params"]]
        self.masters = [p.detach().float() for p in self.halves]
        self.inner = torch.optim.Adam(self.masters, 1e-5, weight_decay=0.01, fused=True)

    @torch.no_grad()
    def step(self, closure=None):
        """One update: gradients to FP32, overflow, norm and clip, Adam, weights to FP16."""
        gradients = [torch.empty_like(p) for p in self.masters]
        torch._foreach_copy_(gradients, [p.grad for p in self.halves])
        torch.stack(torch._foreach_norm(gradients)).norm().item()
        torch._foreach_mul_(gradients, 0.5)
        for p, gradient in zip(self.masters, gradients, strict=True):
            p.grad = gradient
        self.inner.step()
        torch._foreach_copy_(self.halves, self.masters)

    def zero_grad(self, set_to_none=True):
        """Gradients of halves are let go."""
        for p in self.halves:
            p.grad = None
