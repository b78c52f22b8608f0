"""A small GPT on bytes of Python's own library, and its batches; the parallel scripts share it."""

import os
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

warnings.filterwarnings("ignore", category=FutureWarning)
VOCABULARY, CONTEXT = 256, 64


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.head = width // heads
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x):
        parts = (
            f(x).unflatten(-1, (-1, self.head)).transpose(1, 2) for f in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(*parts, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width), FeedForward(width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Embedding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.token, self.place = nn.Embedding(VOCABULARY, width), nn.Embedding(CONTEXT, width)

    def forward(self, tokens):
        return self.token(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))


class Head(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, VOCABULARY)

    def forward(self, x):
        return self.out(self.norm(x))


def layers(depth=6, width=64, heads=8, seed=0):
    """Embedding, blocks, head: enough for eight stages, with the same weights everywhere."""
    torch.manual_seed(seed)
    return [Embedding(width), *(Block(width, heads) for _ in range(depth)), Head(width)]


def loss_of(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def text():
    files = sorted(Path(os.__file__).parent.glob("a*.py"))
    data = b"".join(path.read_bytes() for path in files)[:300_000]
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def batch(data, step, size, part=0, parts=1):
    """Inputs and targets [size / parts, CONTEXT] of one part of a step's batch."""
    draw = torch.Generator().manual_seed(step)
    starts = torch.randint(len(data) - CONTEXT - 1, (size,), generator=draw).chunk(parts)[part]
    rows = torch.stack([data[s : s + CONTEXT + 1] for s in starts.tolist()]).long()
    return rows[:, :-1], rows[:, 1:]
