"""One transformer layer as a framework writes it, forward and backward: `layers.py KIND`."""

import math
import sys

import torch
import torch.nn.functional as F
from torch import nn

D, HEADS, SEQ, BATCH = 256, 4, 64, 2


class Unfused(nn.Module):
    """Megatron's GPT layer: scores in memory, tokens first."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

    def forward(self, x):
        s, b, d = x.shape
        mixed = self.qkv(self.first(x)).view(s, b, HEADS, 3 * d // HEADS)
        q, k, v = (t.reshape(s, b * HEADS, -1) for t in mixed.chunk(3, -1))
        scores = torch.bmm(q.transpose(0, 1), k.permute(1, 2, 0)) / math.sqrt(d / HEADS)
        chances = F.dropout(torch.softmax(scores, -1), 0.1)
        context = torch.bmm(chances, v.transpose(0, 1)).transpose(0, 1).reshape(s, b, d)
        x = x + F.dropout(self.out(context), 0.1)
        return x + F.dropout(self.down(F.gelu(self.up(self.second(x)))), 0.1)


class Flash(nn.Module):
    """A Llama layer: fused attention with shared keys, three products around SiLU."""

    def __init__(self, kv_heads=2):
        super().__init__()
        self.kv, width = kv_heads, D // HEADS
        self.first, self.second = nn.RMSNorm(D), nn.RMSNorm(D)
        self.qkv = nn.Linear(D, D + 2 * kv_heads * width, bias=False)
        self.out = nn.Linear(D, D, bias=False)
        self.both, self.down = nn.Linear(D, 8 * D, bias=False), nn.Linear(4 * D, D, bias=False)

    def forward(self, x):
        b, s, d = x.shape
        width = d // HEADS
        mixed = self.qkv(self.first(x)).view(b, s, -1, width).transpose(1, 2)
        q, k, v = mixed.split([HEADS, self.kv, self.kv], 1)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.out(out.transpose(1, 2).reshape(b, s, d))
        gate, value = self.both(self.second(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * value)


kind = sys.argv[1]
torch.manual_seed(0)
model = (Unfused() if kind == "unfused" else Flash()).to("cuda", torch.bfloat16)
shape = (SEQ, BATCH, D) if kind == "unfused" else (BATCH, SEQ, D)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(2):
    x = torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    model(x).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
