"""Large models in small: each row goes to the two experts that a router chooses."""

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch import nn

STEPS, BATCH, WIDTH, EXPERTS, CHOSEN = 10, 64, 32, 8, 2


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.wide = nn.Parameter(torch.randn(EXPERTS, WIDTH, 2 * WIDTH) * WIDTH**-0.5)
        self.narrow = nn.Parameter(torch.randn(EXPERTS, 2 * WIDTH, WIDTH) * (2 * WIDTH) ** -0.5)

    def forward(self, x):
        chances = self.router(x).softmax(-1)
        weight, expert = chances.topk(CHOSEN, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for e in range(EXPERTS):
            row, place = torch.where(expert == e)
            if len(row) == 0:
                continue
            done = F.silu(x[row] @ self.wide[e]) @ self.narrow[e]
            out.index_put_((row,), done * weight[row, place, None], accumulate=True)
        used = F.one_hot(expert, EXPERTS).sum(1).float().mean(0)
        return x + out, EXPERTS * (used * chances.mean(0)).sum() / CHOSEN


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    digits = load_digits()
    rows, labels = torch.tensor(digits.data).float() / 16, torch.tensor(digits.target)
    first, experts, last = nn.Linear(64, WIDTH), Mixture(), nn.Linear(WIDTH, 10)
    model = nn.ModuleList([first, experts, nn.LayerNorm(WIDTH), last]).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(STEPS):
        chosen = torch.randint(0, len(rows), (BATCH,), generator=draw)
        hidden, balance = model[1](model[0](rows[chosen].to(device)))
        scores = model[3](model[2](hidden))
        loss = F.cross_entropy(scores, labels[chosen].to(device)) + 0.01 * balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
