"""Three training steps of each small model that the arguments name; prints the memory peaks."""

import gc
import sys

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """A block of a GPT with its token embedding and head."""

    def __init__(self, width=256, heads=4, words=512):
        super().__init__()
        self.embed, self.position = nn.Embedding(words, width), nn.Embedding(256, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.head = nn.Linear(width, words, bias=False)
        self.drop = nn.Dropout(0.1)
        self.heads = heads

    def forward(self, ids):
        x = self.embed(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        batch, length, width = x.shape
        parts = (
            self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        y = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.drop(self.out(y.transpose(1, 2).reshape(batch, length, width)))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        logits = self.head(x)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def mlp():
    model = nn.Sequential(nn.Linear(512, 1024), nn.GELU(), nn.LayerNorm(1024), nn.Linear(1024, 64))
    return model, torch.randn(256, 512), torch.optim.AdamW


def cnn():
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False),
        nn.GroupNorm(4, 64),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return model, torch.randn(16, 3, 32, 32), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)


def gpt():
    return Block(), torch.randint(0, 512, (4, 128)), torch.optim.AdamW


def lstm():
    model = nn.LSTM(256, 256, 1, batch_first=True)
    return model, torch.randn(16, 8, 256), torch.optim.Adam


def amp():
    return mlp()


kept = []


def train(name):
    model, batch, make_optimizer = globals()[name]()
    kept.append(model)
    model = model.to("gcu")
    optimizer = make_optimizer(model.parameters())
    scaler = torch.amp.GradScaler("gcu", enabled=name == "amp", init_scale=16.0)
    for _ in range(3):
        optimizer.zero_grad()
        with torch.autocast("gcu", dtype=torch.float16, enabled=name == "amp"):
            out = model(batch.to("gcu"))
        out = out[0] if isinstance(out, tuple) else out
        loss = out.float().pow(2).mean() if out.dim() else out
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()


for name in sys.argv[1:]:
    torch.gcu.reset_peak_memory_stats()
    train(name)
    sys.stdout.write(f"peak {torch.gcu.max_memory_allocated()}\n")
    gc.collect()  # the next model's optimizer then leads its steps
