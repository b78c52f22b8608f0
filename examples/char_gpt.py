"""Train a character-level GPT on the source text of Python's standard library."""

import argparse
import os
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

MODULES = """_pydecimal argparse ast calendar codecs configparser csv dataclasses difflib doctest
enum fractions functools inspect ipaddress locale mailbox optparse pickle random socket"""
CHARS = "\n" + "".join(chr(c) for c in range(32, 127))  # newline and printable ASCII


def load_text(limit=1_000_000):
    """The first `limit` characters of a fixed list of standard-library modules."""
    stdlib = Path(os.__file__).parent
    files = [stdlib / f"{name}.py" for name in MODULES.split()]
    text = "\n".join(f.read_text(encoding="utf-8") for f in files)
    index = {c: i for i, c in enumerate(CHARS)}
    return torch.tensor([index[c] for c in text if c in index][:limit])


class CausalSelfAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            y.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            for y in self.qkv(x).split(c, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = CausalSelfAttention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, vocab, dim, layers, heads, context):
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocab, dim), nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.ln = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab, bias=False)
        self.apply(self._init)
        self.head.weight = self.tok.weight  # weight tying

    @staticmethod
    def _init(module):
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, idx, targets):
        x = self.tok(idx) + self.pos(torch.arange(idx.shape[1], device=idx.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.ln(x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def get_batch(data, batch, context, device):
    starts = torch.randint(len(data) - context, (batch,)).tolist()
    x = torch.stack([data[i : i + context] for i in starts])
    y = torch.stack([data[i + 1 : i + 1 + context] for i in starts])
    return tuple(t.pin_memory().to(device, non_blocking=True) for t in (x, y))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--batch-size", type=int, default=16)
    p.add_argument("--context", type=int, default=128)
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--dim", type=int, default=128)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    device = "cuda"
    data = load_text()
    model = GPT(len(CHARS), args.dim, args.layers, args.heads, args.context).to(device)
    params = sum(p.numel() for p in model.parameters())
    print(f"{torch.cuda.get_device_name()}: {params:,} parameters, {len(data):,} characters")

    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps, eta_min=1e-4)
    scaler = torch.amp.GradScaler("cuda", enabled=args.dtype == "float16")
    dtype = getattr(torch, args.dtype)

    losses = {}
    for step in range(args.steps):
        x, y = get_batch(data, args.batch_size, args.context, device)
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            loss = model(x, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0 or step == args.steps - 1:
            losses[step] = loss.item()
            print(f"step {step} loss {losses[step]:.4f}", flush=True)

    print(f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.1f} MiB")
    print(f"first loss {losses[0]:.4f}, last loss {losses[args.steps - 1]:.4f}")


if __name__ == "__main__":
    main()
