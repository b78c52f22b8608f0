"""Image generation: a UNet learns to take noise away from handwritten digits (DDPM)."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch import nn

LEVELS, BATCH, STEPS, WIDTH = 100, 16, 12, 16


def time_code(t, width):
    """Sines and cosines of the noise level, [batch, width]."""
    rate = torch.exp(torch.arange(width // 2, device=t.device) * (-math.log(1e4) / (width // 2)))
    angle = t[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], -1)


class Block(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(4, c_in), nn.GroupNorm(4, c_out)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.time = nn.Linear(WIDTH, c_out)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        w = WIDTH
        self.first, self.last = nn.Conv2d(1, w, 3, padding=1), nn.Conv2d(w, 1, 3, padding=1)
        self.down1, self.down2 = Block(w, w), Block(w, 2 * w)
        self.middle, self.attention = (
            Block(2 * w, 2 * w),
            nn.MultiheadAttention(2 * w, 4, batch_first=True),
        )
        self.up1, self.up2 = Block(4 * w, w), Block(2 * w, w)

    def forward(self, x, t):
        time = time_code(t, WIDTH)
        a = self.down1(self.first(x), time)
        b = self.down2(F.avg_pool2d(a, 2), time)
        c = self.middle(F.avg_pool2d(b, 2), time)
        flat = c.flatten(2).transpose(1, 2)
        c = c + self.attention(flat, flat, flat)[0].transpose(1, 2).view_as(c)
        d = self.up1(torch.cat([F.interpolate(c, scale_factor=2), b], 1), time)
        return self.last(self.up2(torch.cat([F.interpolate(d, scale_factor=2), a], 1), time))


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    digits = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.05, LEVELS), 0)
    model = UNet().to(device)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.95)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for step in range(STEPS):
        clean = digits[torch.randint(0, len(digits), (BATCH,), generator=draw)]
        t = torch.randint(0, LEVELS, (BATCH,), generator=draw)
        noise = torch.randn(clean.shape, generator=draw)
        share = kept[t][:, None, None, None]
        noisy = (share.sqrt() * clean + (1 - share).sqrt() * noise).to(device)
        loss = F.mse_loss(model(noisy, t.float().to(device)), noise.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
