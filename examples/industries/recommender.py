"""Recommendation: which module does a file of the standard library import besides its others?"""

import ast
import os
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

STEPS, WIDTH, BATCH = 12, 16, 32


def imports_of(path):
    """Names of the modules that a file imports, each once."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return sorted(names)


class Recommender(nn.Module):
    """A file is the sum of what it imports; gradients touch the rows that were read alone."""

    def __init__(self, items):
        super().__init__()
        self.read = nn.EmbeddingBag(items, WIDTH, mode="sum", sparse=True)
        self.tower = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.offered = nn.Embedding(items, WIDTH, sparse=True)

    def forward(self, bag, offsets, weights, offers):
        file = self.tower(self.read(bag, offsets, per_sample_weights=weights))
        return torch.einsum("bw,bow->bo", file, self.offered(offers))


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    files = [imports_of(path) for path in sorted(Path(os.__file__).parent.glob("*.py"))]
    files = [names for names in files if len(names) >= 3]
    number = {name: i for i, name in enumerate(sorted({n for names in files for n in names}))}
    model = Recommender(len(number)).to(device)
    sparse = [model.read.weight, model.offered.weight]
    optimizers = [torch.optim.SparseAdam(sparse, lr=0.02),
                  torch.optim.Adagrad(model.tower.parameters(), lr=0.02)]  # fmt: skip
    losses = []
    for step in range(STEPS):
        rows = torch.randint(0, len(files), (BATCH,), generator=draw).tolist()
        hidden = [files[r][step % len(files[r])] for r in rows]
        bags = [[number[n] for n in files[r] if n != h] for r, h in zip(rows, hidden, strict=True)]
        lengths = torch.tensor([len(bag) for bag in bags])
        flat = torch.tensor([i for bag in bags for i in bag])
        weights = (1 / lengths).repeat_interleave(lengths)
        others = torch.randint(0, len(number), (BATCH, 7), generator=draw)
        offers = torch.cat([torch.tensor([[number[h]] for h in hidden]), others], 1)
        inputs = [flat, lengths.cumsum(0) - lengths, weights, offers]
        scores = model(*[t.to(device) for t in inputs])
        loss = F.cross_entropy(scores, torch.zeros(BATCH, dtype=torch.long, device=device))
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
