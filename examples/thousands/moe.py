"""A mixture of experts (Mixtral, DeepSeek): experts over cards, tokens sent by all-to-all."""

import argparse
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from flat_optimizer import FlatAdamW
from llama_blocks import Attention, rotary_table
from torch import nn
from torch.distributed.device_mesh import init_device_mesh


@dataclass
class Shape:
    """Sizes of a model."""

    vocab: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    experts: int
    chosen: int
    shared: int = 0


SHAPES = {
    "tiny": Shape(1024, 256, 2, 8, 4, 256, experts=8, chosen=2),
    "mixtral-8x7b": Shape(32000, 4096, 32, 32, 8, 14336, experts=8, chosen=2),
    "deepseek-16b": Shape(102400, 2048, 28, 16, 16, 1408, experts=64, chosen=6, shared=2),
}


class Exchange(torch.autograd.Function):
    """Every card's rows for the experts of the others; the same way back."""

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        y = torch.empty_like(x)
        dist.all_to_all_single(y, x.contiguous(), group=group)
        return y

    @staticmethod
    def backward(ctx, grad):
        back = torch.empty_like(grad)
        dist.all_to_all_single(back, grad.contiguous(), group=ctx.group)
        return back, None


class Experts(nn.Module):
    """The experts of one card, each SwiGLU, all of them one batched product."""

    def __init__(self, shape, count):
        super().__init__()
        self.up = nn.Parameter(torch.empty(count, shape.dim, 2 * shape.hidden).normal_(std=0.02))
        self.down = nn.Parameter(torch.empty(count, shape.hidden, shape.dim).normal_(std=0.02))

    def forward(self, x):
        gate, y = torch.bmm(x, self.up).chunk(2, -1)
        return torch.bmm(F.silu(gate) * y, self.down)


class Mixture(nn.Module):
    """Each token goes to its chosen experts; an expert takes `capacity` tokens of a card."""

    def __init__(self, shape, group, capacity_factor):
        super().__init__()
        self.shape, self.group, self.factor = shape, group, capacity_factor
        self.router = nn.Linear(shape.dim, shape.experts, bias=False)
        self.experts = Experts(shape, shape.experts // group.size())
        self.shared = None
        if shape.shared:
            wide = shape.shared * shape.hidden
            self.shared = nn.ModuleList(
                [nn.Linear(shape.dim, 2 * wide, bias=False), nn.Linear(wide, shape.dim, bias=False)]
            )

    def forward(self, x):
        tokens = x.flatten(0, -2)
        count, experts, chosen = len(tokens), self.shape.experts, self.shape.chosen
        weights, which = self.router(tokens).float().softmax(-1).topk(chosen, dim=-1)
        capacity = int(self.factor * count * chosen / experts)
        flat = which.flatten()
        place = F.one_hot(flat, experts).cumsum(0).gather(1, flat[:, None])[:, 0] - 1
        slot = torch.where(place < capacity, flat * capacity + place, experts * capacity)
        rows = tokens.new_zeros(experts * capacity + 1, tokens.shape[-1])
        rows = rows.index_add(0, slot, tokens.repeat_interleave(chosen, 0))[:-1]
        done = Exchange.apply(self.mine(Exchange.apply(rows, self.group)), self.group)
        done = torch.cat([done, done.new_zeros(1, done.shape[-1])])
        picked = done.index_select(0, slot).view(count, chosen, -1)
        y = (picked * weights[..., None].to(picked.dtype)).sum(1)
        if self.shared is not None:
            gate, up = self.shared[0](tokens).chunk(2, -1)
            y = y + self.shared[1](F.silu(gate) * up)
        return y.view_as(x)

    def mine(self, rows):
        """Rows of all cards for this card's experts, through them."""
        cards, own = self.group.size(), self.experts.up.shape[0]
        x = rows.view(cards, own, -1, rows.shape[-1]).transpose(0, 1).flatten(1, 2)
        y = self.experts(x).view(own, cards, -1, rows.shape[-1])
        return y.transpose(0, 1).reshape(rows.shape)


class Block(nn.Module):
    def __init__(self, shape, group, factor):
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.dim)
        self.attention = Attention(shape)
        self.mixture_norm = nn.RMSNorm(shape.dim)
        self.mixture = Mixture(shape, group, factor)

    def forward(self, x, table):
        x = x + self.attention(self.attention_norm(x), table)
        return x + self.mixture(self.mixture_norm(x))


class Model(nn.Module):
    def __init__(self, shape, group, factor):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab, shape.dim)
        self.layers = nn.ModuleList(Block(shape, group, factor) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.dim)
        self.head = nn.Linear(shape.dim, shape.vocab, bias=False)

    def forward(self, tokens):
        table = rotary_table(self.shape.dim // self.shape.heads, tokens.shape[1], tokens.device)
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, table)
        return self.head(self.norm(x))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", choices=SHAPES, default="tiny")
    p.add_argument("--layers", type=int, help="fewer layers than the model has")
    p.add_argument("--ep", type=int, default=4, help="cards that share the experts")
    p.add_argument("--capacity-factor", type=float, default=1.0)
    p.add_argument("--batch-size", type=int, default=1)
    p.add_argument("--seq-len", type=int, default=4096)
    p.add_argument("--steps", type=int, default=3)
    args = p.parse_args()

    dist.init_process_group("nccl")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    mesh = init_device_mesh("cuda", (world // args.ep, args.ep), mesh_dim_names=("dp", "ep"))
    shape = SHAPES[args.model]
    shape.layers = args.layers or shape.layers
    torch.set_default_dtype(torch.bfloat16)
    with device:
        model = Model(shape, mesh["ep"].get_group(), args.capacity_factor)
    torch.set_default_dtype(torch.float32)
    experts = {id(p) for m in model.modules() if isinstance(m, Experts) for p in m.parameters()}
    dense = [p for p in model.parameters() if id(p) not in experts]
    sparse = [p for p in model.parameters() if id(p) in experts]
    optimizers = [
        FlatAdamW(dense, dist.group.WORLD),
        FlatAdamW(sparse, mesh["dp"].get_group()),
    ]
    generator = torch.Generator().manual_seed(rank)
    for step in range(args.steps):
        tokens = torch.randint(
            shape.vocab, (args.batch_size, args.seq_len + 1), generator=generator
        ).to(device)
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        if rank == 0:
            print(f"step {step} loss {loss.item():.4f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
