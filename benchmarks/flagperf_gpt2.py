"""FlagPerf's GPT-2: Megatron's layers without its fused softmax, a loss of plain ops."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class BiasGelu(torch.autograd.Function):
    """GELU of a product and its bias; the two are kept and joined again backward."""

    @staticmethod
    def forward(ctx, x, bias):
        """Tokens [tokens, batch, wide]."""
        ctx.save_for_backward(x, bias)
        return functional.gelu(x + bias, approximate="tanh")

    @staticmethod
    def backward(ctx, grad):
        """Gradients of both."""
        x, bias = ctx.saved_tensors
        found = torch.ops.aten.gelu_backward(grad, x + bias, approximate="tanh")
        return found, found.sum((0, 1))


def token_losses(out: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Losses [tokens, batch] of logits, step by step (model/losses/cross_entropy.py)."""
    logits = out.clone()
    logits.sub_(torch.max(logits, dim=-1)[0].unsqueeze(-1))
    total = logits.exp().sum(-1)
    flat, each = logits.view(-1, logits.shape[-1]), labels.view(-1)
    rows = torch.arange(flat.shape[0], device=flat.device)
    return torch.log(total) - flat[rows, each].view_as(labels)


class Attention(nn.Module):
    """Scores of a whole sequence with a mask of what lies ahead."""

    def __init__(self, width: int, heads: int, layer: int) -> None:
        super().__init__()
        self.heads, self.layer = heads, layer
        self.inward = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x, mask):
        """Tokens [tokens, batch, width]."""
        tokens, batch, width = x.shape
        each = width // self.heads
        mixed = self.inward(x).view(tokens, batch, self.heads, 3 * each)
        q, k, v = (p.view(tokens, batch * self.heads, each) for p in mixed.split(each, -1))
        room = torch.zeros(batch * self.heads, tokens, tokens, dtype=x.dtype, device=x.device)
        scores = torch.baddbmm(room, q.transpose(0, 1), k.transpose(0, 1).transpose(1, 2),
                               beta=0.0, alpha=1 / (math.sqrt(each) * self.layer))  # fmt: skip
        scaled = scores.view(batch, self.heads, tokens, tokens) * self.layer
        scaled.masked_fill_(mask, -10000.0)
        shares = self.dropout(functional.softmax(scaled, dim=-1))
        shares = shares.view(batch * self.heads, tokens, tokens)
        found = torch.bmm(shares, v.transpose(0, 1)).view(batch, self.heads, tokens, each)
        return self.out(found.permute(2, 0, 1, 3).contiguous().view(tokens, batch, width))


class Layer(nn.Module):
    """A layer of GPT-2, norms first."""

    def __init__(self, width: int, heads: int, layer: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, layer)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.up_bias = nn.Parameter(torch.zeros(4 * width))
        self.down = nn.Linear(4 * width, width, bias=False)
        self.down_bias = nn.Parameter(torch.zeros(width))

    def forward(self, x, mask):
        """Tokens [tokens, batch, width]."""
        found = self.attention(self.first(x), mask) + self.attention.bias
        x = x + functional.dropout(found, 0.1, self.training)
        wide = BiasGelu.apply(self.up(self.second(x)), self.up_bias)
        return x + functional.dropout(self.down(wide) + self.down_bias, 0.1, self.training)


class MegatronGPT2(nn.Module):
    """Words to a loss, the embedding used again as the head."""

    def __init__(self, layers: int, width: int, heads: int, words: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(1024, width)
        self.layers = nn.ModuleList(Layer(width, heads, n + 1) for n in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids, labels):
        """Loss of words [batch, tokens]."""
        tokens = ids.shape[1]
        mask = torch.ones(1, 1, tokens, tokens, device=ids.device).tril() < 0.5
        places = torch.arange(tokens, device=ids.device).expand_as(ids)
        x = (self.words(ids) + self.places(places)).transpose(0, 1).contiguous()
        x = functional.dropout(x, 0.1, self.training)
        for layer in self.layers:
            x = layer(x, mask)
        out = functional.linear(self.norm(x), self.words.weight)
        losses = token_losses(out.float(), labels.transpose(0, 1).contiguous())
        weights = torch.ones_like(losses)
        return torch.sum(losses.view(-1) * weights.view(-1)) / weights.view(-1).sum()
