"""FlagPerf's CPM: a GPT in 16 bits whose layers run again backward, and masters in FP32."""

from __future__ import annotations

import math

import torch
from flagperf_gpt2 import token_losses
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class Layer(nn.Module):
    """A layer, norms first, half of everything dropped."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inward, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, x, mask):
        """Tokens [batch, tokens, width]; 1 in the mask is seen."""
        batch, tokens, width = x.shape
        q, k, v = (p.view(batch, tokens, self.heads, -1).permute(0, 2, 1, 3)
                   for p in self.inward(x).split(width, dim=-1))  # fmt: skip
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(width // self.heads)
        scores = torch.mul(scores, mask) - 10000.0 * (1.0 - mask)
        shares = functional.dropout(functional.softmax(scores, dim=-1), 0.5, self.training)
        found = torch.matmul(shares, v).permute(0, 2, 1, 3).contiguous()
        return functional.dropout(self.out(found.view(x.shape)), 0.5, self.training)

    def forward(self, x, mask):
        """Tokens [batch, tokens, width]."""
        x = x + self.attend(self.first(x), mask)
        wide = functional.gelu(self.up(self.second(x)), approximate="tanh")
        return x + functional.dropout(self.down(wide), 0.5, self.training)


class CPM(nn.Module):
    """Words to a loss; the embedding is used again as the head, logits leave it in FP32."""

    def __init__(self, layers: int = 24, width: int = 1024, heads: int = 16) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(30000, width), nn.Embedding(1024, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids, places, mask, labels, weights):
        """Loss and logits of words [batch, tokens]."""
        x = functional.dropout(self.words(ids) + self.places(places), 0.5, self.training)
        for layer in self.layers:
            x = checkpoint(layer, x, mask, use_reentrant=True)
        out = functional.linear(self.norm(x), self.words.weight).float()
        losses = token_losses(out, labels)
        return torch.sum(losses.view(-1) * weights.view(-1)) / weights.sum(), out


class MastersKept(torch.optim.Optimizer):
    """FP16_Optimizer over apex's FusedAdam: FP32 weights and gradients that stay."""

    def __init__(self, model: nn.Module) -> None:
        self.halves = list(model.parameters())
        super().__init__(self.halves, {"lr": 1e-5})
        self.masters = [p.detach().clone().float() for p in self.halves]
        self.inner = torch.optim.Adam(self.masters, 1e-5, weight_decay=0.01, fused=True)

    @torch.no_grad()
    def step(self, closure=None):
        """Looks for overflow, copies gradients, Adam, copies weights back."""
        for p in self.halves:
            p.grad.float().sum().item()
        for half, master in zip(self.halves, self.masters, strict=True):
            if master.grad is None:
                master.grad = torch.empty_like(master)
            master.grad.copy_(half.grad)
            master.grad.mul_(0.5)
        self.inner.step()
        for half, master in zip(self.halves, self.masters, strict=True):
            half.copy_(master)
