"""Transformer layers in Megatron's manner: GPT-3 and Llama, one pipeline stage at a time."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from tensor_parallel import Column, Enter, Group, Row, VocabularyEmbedding
from torch import nn
from torch.utils.checkpoint import checkpoint


@dataclass
class Shape:
    """Sizes of a model."""

    vocab: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    is_llama: bool = False
    length: int = 2048


SHAPES = {
    "tiny": Shape(1024, 256, 4, 8, 8, 1024, length=128),
    "tiny-llama": Shape(1024, 256, 4, 8, 4, 704, is_llama=True, length=128),
    "gpt3-175b": Shape(51200, 12288, 96, 96, 96, 4 * 12288),
    "llama3-405b": Shape(128256, 16384, 126, 128, 8, 53248, is_llama=True, length=8192),
}


class Context:
    """The cards that share each sequence: every one has two pieces, an early and a late one."""

    handle, size, rank = None, 1, 0

    @classmethod
    def use(cls, handle):
        cls.handle, cls.size, cls.rank = handle, handle.size(), handle.rank()

    @classmethod
    def pieces(cls):
        return cls.rank, 2 * cls.size - 1 - cls.rank


class GatherContext(torch.autograd.Function):
    """Keys and values of the whole sequence, in its order; gradients are summed back."""

    @staticmethod
    def forward(ctx, x):
        whole = x.new_empty(Context.size, *x.shape)
        dist.all_gather_into_tensor(whole, x.contiguous(), group=Context.handle)
        early, late = whole.chunk(2, dim=1)
        return torch.cat([early.flatten(0, 1), late.flip(0).flatten(0, 1)])

    @staticmethod
    def backward(ctx, grad):
        early, late = grad.view(2, Context.size, -1, *grad.shape[1:])
        both = torch.cat([early, late.flip(0)], dim=1)
        part = both.new_empty(both.shape[1:])
        dist.reduce_scatter_tensor(part, both.contiguous(), group=Context.handle)
        return part


def attend(q, k, v):
    """Causal attention of [sequence, batch, heads, dim]; with many cards each has its pieces."""
    if Context.size == 1:
        q, k, v = (t.permute(1, 2, 0, 3) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return y.permute(2, 0, 1, 3).flatten(2)
    k, v = GatherContext.apply(k), GatherContext.apply(v)
    parts = []
    for piece, query in zip(Context.pieces(), q.chunk(2), strict=True):
        end = (piece + 1) * len(query)
        three = (t.permute(1, 2, 0, 3) for t in (query, k[:end], v[:end]))
        bias = torch.ones(len(query), end, dtype=torch.bool, device=q.device)
        bias = bias.tril(end - len(query))
        y = F.scaled_dot_product_attention(*three, attn_mask=bias, enable_gqa=True)
        parts.append(y.permute(2, 0, 1, 3).flatten(2))
    return torch.cat(parts)


class Layer(nn.Module):
    """One transformer layer."""

    def __init__(self, shape, device, dtype):
        super().__init__()
        make = {"bias": not shape.is_llama, "device": device, "dtype": dtype}
        norm = nn.RMSNorm if shape.is_llama else nn.LayerNorm
        self.head_dim = shape.dim // shape.heads
        self.kv = shape.kv_heads * self.head_dim // Group.size
        self.is_llama = shape.is_llama
        self.attention_norm = norm(shape.dim, device=device, dtype=dtype)
        self.qkv = Column(shape.dim, (shape.heads + 2 * shape.kv_heads) * self.head_dim, **make)
        self.out = Row(shape.dim, shape.dim, **make)
        self.mlp_norm = norm(shape.dim, device=device, dtype=dtype)
        self.up = Column(shape.dim, shape.hidden * (2 if shape.is_llama else 1), **make)
        self.down = Row(shape.hidden, shape.dim, **make)

    def attention(self, x, table):
        mixed = self.qkv(Enter.apply(x))
        q, k, v = mixed.split([mixed.shape[-1] - 2 * self.kv, self.kv, self.kv], -1)
        q, k, v = (t.unflatten(-1, (-1, self.head_dim)) for t in (q, k, v))
        if table is not None:
            q, k = rotate(q, table), rotate(k, table)
        return self.out(attend(q, k, v))

    def mlp(self, x):
        y = self.up(Enter.apply(x))
        if self.is_llama:
            gate, y = y.chunk(2, -1)
            return self.down(F.silu(gate) * y)
        return self.down(F.gelu(y, approximate="tanh"))

    def forward(self, x, table):
        x = x + self.attention(self.attention_norm(x), table)
        return x + self.mlp(self.mlp_norm(x))


def rotate(x, table):
    cos, sin = table
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Stage(nn.Module):
    """Consecutive layers; the first stage has the embedding, the last one the head."""

    def __init__(self, shape, layers, is_first, is_last, recompute, device):
        super().__init__()
        dtype = torch.bfloat16
        self.shape, self.recompute = shape, recompute
        self.embedding = self.positions = self.norm = self.head = None
        if is_first:
            self.embedding = VocabularyEmbedding(shape.vocab, shape.dim, device, dtype)
            if not shape.is_llama:
                self.positions = nn.Embedding(shape.length, shape.dim, device=device, dtype=dtype)
        self.layers = nn.ModuleList(Layer(shape, device, dtype) for _ in range(layers))
        if is_last:
            norm = nn.RMSNorm if shape.is_llama else nn.LayerNorm
            self.norm = norm(shape.dim, device=device, dtype=dtype)
            self.head = Column(shape.dim, shape.vocab, False, device, dtype)
        self.table = self.rotary(device) if shape.is_llama else None

    def places(self, device):
        """Places in the sequence of this card's part of it."""
        size = self.shape.length // (2 * Context.size)
        pieces = Context.pieces() if Context.size > 1 else (0, 1)
        return torch.cat([torch.arange(size, device=device) + p * size for p in pieces])

    def rotary(self, device):
        dim = self.shape.dim // self.shape.heads
        inverse = 1.0 / 500000.0 ** (torch.arange(0, dim, 2, device=device).float() / dim)
        angles = torch.outer(self.places(device).float(), inverse)
        both = torch.cat([angles, angles], -1)[:, None, None]
        return both.cos().bfloat16(), both.sin().bfloat16()

    def forward(self, x):
        if self.embedding is not None:
            tokens, x = x, self.embedding(x)
            if self.positions is not None:
                where = self.places(tokens.device)
                if Group.by_sequence:
                    where = where.chunk(Group.size)[Group.rank]
                x = x + self.positions(where)[:, None]
        for layer in self.layers:
            if self.recompute:
                x = checkpoint(layer, x, self.table, use_reentrant=False)
            else:
                x = layer(x, self.table)
        return x if self.head is None else self.head(Enter.apply(self.norm(x)))
