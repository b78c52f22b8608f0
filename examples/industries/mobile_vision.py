"""Phones: inverted residual blocks with depthwise convolutions and squeeze-and-excitation."""

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch import nn

STEPS, BATCH = 10, 32


class Squeeze(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a, self.b = (
            nn.Conv2d(channels, channels // 4, 1),
            nn.Conv2d(channels // 4, channels, 1),
        )

    def forward(self, x):
        return x * F.hardsigmoid(self.b(F.relu(self.a(F.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    def __init__(self, c_in, c_out, stride, expand=4):
        super().__init__()
        wide = c_in * expand
        self.same = stride == 1 and c_in == c_out
        self.body = nn.Sequential(
            nn.Conv2d(c_in, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish(),
            nn.Conv2d(wide, wide, 5, stride, 2, groups=wide, bias=False), nn.BatchNorm2d(wide),
            nn.Hardswish(), Squeeze(wide),
            nn.Conv2d(wide, c_out, 1, bias=False), nn.BatchNorm2d(c_out),
        )  # fmt: skip

    def forward(self, x):
        return x + self.body(x) if self.same else self.body(x)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    digits = load_digits()
    images = torch.tensor(digits.images).float()[:, None] / 16
    labels = torch.tensor(digits.target)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.Hardswish(),
        Inverted(8, 8, 1), Inverted(8, 16, 2), Inverted(16, 16, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3, momentum=0.9)
    losses = []
    for step in range(STEPS):
        chosen = torch.randint(0, len(images), (BATCH,), generator=draw)
        scores = model(images[chosen].to(device, non_blocking=True))
        loss = F.cross_entropy(scores, labels[chosen].to(device), label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
