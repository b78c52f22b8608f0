"""A Llama kind of model under FSDP2, as torchtitan sets it up without a compiler."""

import argparse
import os
from collections import defaultdict

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

SIZES = {"layers": 8, "d": 2048, "heads": 16, "kv": 4, "ff": 5632, "vocab": 32000, "seq": 2048,
         "batch": 2}  # fmt: skip
parser = argparse.ArgumentParser()
for name, value in SIZES.items():
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--again", default="none")
a = parser.parse_args()
HEAD = a.d // a.heads
aten = torch.ops.aten
ATTENTION = {aten._scaled_dot_product_fused_attention_overrideable.default,
             aten._scaled_dot_product_flash_attention.default}  # fmt: skip


def turned(x, angles):
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * angles).flatten(3).type_as(x)


def every_other_product():
    count = defaultdict(int)

    def policy(ctx, func, *args, **kwargs):
        if func is aten.mm.default:
            count[ctx.is_recompute] += 1
            keeps = count[ctx.is_recompute] % 2 == 1
        else:
            keeps = func in ATTENTION
        return CheckpointPolicy.MUST_SAVE if keeps else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(a.d))

    def forward(self, x):
        wide = x.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)
        return (wide * scale).type_as(x) * self.weight


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        wide = {"wq": (a.d, a.d), "wk": (a.d, a.kv * HEAD), "wv": (a.d, a.kv * HEAD),
                "wo": (a.d, a.d), "w1": (a.d, a.ff), "w3": (a.d, a.ff),
                "w2": (a.ff, a.d)}  # fmt: skip
        for name, (k, n) in wide.items():
            setattr(self, name, nn.Linear(k, n, bias=False))
        self.first, self.second = Norm(), Norm()

    def forward(self, x, angles):
        y = self.first(x)
        q, k, v = (w(y).unflatten(-1, (-1, HEAD)) for w in (self.wq, self.wk, self.wv))
        q, k = turned(q, angles), turned(k, angles)
        heads = (t.transpose(1, 2) for t in (q, k, v))
        out = F.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
        x = x + self.wo(out.transpose(1, 2).flatten(2))
        y = self.second(x)
        return x + self.w2(F.silu(self.w1(y)) * self.w3(y))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(a.vocab, a.d)
        self.layers = nn.ModuleList(Block() for _ in range(a.layers))
        self.norm, self.head = Norm(), nn.Linear(a.d, a.vocab, bias=False)
        speeds = 1 / 10000 ** (torch.arange(0, HEAD, 2).float() / HEAD)
        angle = torch.outer(torch.arange(a.seq).float(), speeds)
        angles = torch.polar(torch.ones_like(angle), angle)
        self.register_buffer("angles", angles[None, :, None])

    def forward(self, ids):
        x = self.embedding(ids)
        plain = {"use_reentrant": False, "preserve_rng_state": False}
        for number, block in enumerate(self.layers):
            if a.again == "products":
                x = checkpoint(block, x, self.angles, context_fn=every_other_product, **plain)
            elif a.again == "all" or (a.again.isdigit() and number % int(a.again) == 0):
                x = checkpoint(block, x, self.angles, **plain)
            else:
                x = block(x, self.angles)
        return self.head(self.norm(x))


dist.init_process_group("nccl")
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
mesh = init_device_mesh("cuda", (dist.get_world_size(),))
with torch.device("cuda"):
    model = Llama()
policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
fully_shard(model.embedding, mesh=mesh, mp_policy=policy)
fully_shard([model.norm, model.head], mesh=mesh, mp_policy=policy, reshard_after_forward=False)
for block in model.layers:
    fully_shard(block, mesh=mesh, mp_policy=policy)
fully_shard(model, mesh=mesh, mp_policy=policy)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
for _ in range(3):
    torch.cuda.reset_peak_memory_stats()
    optimizer.zero_grad()
    ids = torch.randint(0, a.vocab, (a.batch, a.seq + 1), device="cuda")
    logits = model(ids[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())
    del logits
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
if dist.get_rank() == 0:
    print("peak bytes", torch.cuda.max_memory_allocated(), flush=True)
