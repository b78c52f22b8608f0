"""Forecasting: a transformer encoder predicts the tide of the next day from the last three."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

#: Height in metres and period in hours of the four largest constituents of a tide.
TIDES = ((1.0, 12.4206), (0.4, 12.0), (0.3, 23.9345), (0.25, 25.8193))
PAST, FUTURE, BATCH, STEPS, WIDTH = 72, 24, 16, 10, 32
QUANTILES = (0.1, 0.5, 0.9)


def heights(start, hours, noise):
    """Heights [batch, hours] from the given hours on, with the weather's share."""
    time = start[:, None] + torch.arange(hours)
    tide = sum(h * torch.cos(2 * math.pi * time / period) for h, period in TIDES)
    return tide + 0.05 * torch.randn(tide.shape, generator=noise)


class Forecaster(nn.Module):
    def __init__(self, patch=6):
        super().__init__()
        self.patch = patch
        self.inside = nn.Linear(patch, WIDTH)
        self.place = nn.Parameter(torch.zeros(PAST // patch, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 64, dropout=0.0, batch_first=True, norm_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(PAST // patch * WIDTH, FUTURE * len(QUANTILES))

    def forward(self, past):
        mean, spread = past.mean(1, keepdim=True), past.std(1, keepdim=True)
        patches = ((past - mean) / spread).unflatten(1, (-1, self.patch))
        code = self.encoder(self.inside(patches) + self.place)
        out = self.head(code.flatten(1)).unflatten(1, (FUTURE, -1))
        return out * spread[..., None] + mean[..., None]


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    noise = torch.Generator().manual_seed(1)
    model = Forecaster().to(device)
    optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=STEPS)
    quantiles = torch.tensor(QUANTILES, device=device)
    losses = []
    for step in range(STEPS):
        start = torch.randint(0, 24 * 365, (BATCH,), generator=noise)
        series = heights(start, PAST + FUTURE, noise).to(device)
        past, future = series.split([PAST, FUTURE], 1)
        above = future[..., None] - model(past)
        loss = torch.maximum(quantiles * above, (quantiles - 1) * above).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    error = F.l1_loss(model(past)[..., 1], future).item()
    print(f"error of the median {error:.3f} m")
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
