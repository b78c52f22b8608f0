"""Devices at the edge: training that already rounds to 8 bits, on the breast cancer data."""

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_breast_cancer
from torch import nn

STEPS, BATCH = 12, 64


class Rounded(nn.Linear):
    """Weights in 8 bits a row, inputs in 8 bits by their range so far; gradients pass through."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.register_buffer("range", torch.tensor(1e-3))

    def forward(self, x):
        with torch.no_grad():
            self.range.copy_(torch.maximum(0.9 * self.range, x.abs().amax()))
        zero = torch.zeros(1, dtype=torch.int32, device=x.device)
        x = torch.fake_quantize_per_tensor_affine(x, self.range[None] / 127, zero, -128, 127)
        scale = self.weight.detach().abs().amax(1) / 127
        zeros = torch.zeros(len(scale), dtype=torch.int32, device=x.device)
        weight = torch.fake_quantize_per_channel_affine(self.weight, scale, zeros, 0, -128, 127)
        return F.linear(x, weight, self.bias)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    data = load_breast_cancer()
    rows = torch.tensor(data.data).float()
    rows = (rows - rows.mean(0)) / rows.std(0)
    labels = torch.tensor(data.target).float()
    model = nn.Sequential(Rounded(30, 32), nn.ReLU(), Rounded(32, 1)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for step in range(STEPS):
        chosen = torch.randint(0, len(rows), (BATCH,), generator=draw)
        scores = model(rows[chosen].to(device)).squeeze(-1)
        loss = F.binary_cross_entropy_with_logits(scores, labels[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    right = ((model(rows.to(device)).squeeze(-1) > 0).cpu() == labels.bool()).float().mean()
    print(f"told right {right:.3f}")
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
