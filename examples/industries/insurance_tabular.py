"""Insurance: a transformer over the columns of a table predicts how a disease goes on."""

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_diabetes
from torch import nn

STEPS, BATCH, PARTS, WIDTH = 8, 64, 2, 16


class Table(nn.Module):
    """Every column is a token; the first token answers."""

    def __init__(self, columns):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(columns, WIDTH))
        self.shift = nn.Parameter(torch.zeros(columns, WIDTH))
        self.answer = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.norm = nn.RMSNorm(WIDTH)
        self.gate, self.out = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(2 * WIDTH, 1)

    def forward(self, rows):
        tokens = rows[..., None] * self.scale + self.shift
        tokens = torch.cat([self.answer.expand(len(rows), -1, -1), tokens], 1)
        x = self.norm(tokens)
        x = tokens[:, :1] + self.attention(x[:, :1], x, x, need_weights=False)[0]
        return self.out(F.glu(self.gate(self.norm(x)))).flatten()


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    rows, target = (torch.tensor(t).float() for t in load_diabetes(return_X_y=True))
    rows, target = 20 * rows, (target - target.mean()) / target.std()
    model = Table(rows.shape[1]).to(device)
    optimizer = torch.optim.Adafactor(model.parameters(), lr=0.05)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        total = 0.0
        for chosen in torch.randint(0, len(rows), (PARTS, BATCH), generator=draw):
            loss = F.mse_loss(model(rows[chosen].to(device)), target[chosen].to(device)) / PARTS
            loss.backward()
            total += loss.item()
        optimizer.step()
        losses.append(total)
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
