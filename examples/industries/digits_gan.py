"""Design: a generator and a critic whose gradient penalty (WGAN-GP) differentiates twice."""

import torch
from sklearn.datasets import load_digits
from torch import nn

STEPS, BATCH, CODE = 6, 32, 8


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    digits = torch.tensor(load_digits().images).float()[:, None] / 8 - 1
    generator = nn.Sequential(
        nn.ConvTranspose2d(CODE, 16, 4), nn.InstanceNorm2d(16, affine=True), nn.PReLU(),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Conv2d(16, 1, 3, padding=1), nn.Tanh(),
    ).to(device)  # fmt: skip
    critic = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 16, 4, 2, 1)), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128, 1),
    ).to(device)  # fmt: skip
    builds = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.0, 0.9))
    judges = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.0, 0.9))
    losses = []
    for step in range(STEPS):
        for _ in range(2):
            real = digits[torch.randint(0, len(digits), (BATCH,), generator=draw)].to(device)
            code = torch.randn(BATCH, CODE, 1, 1, generator=draw).to(device)
            made = generator(code).detach()
            share = torch.rand(BATCH, 1, 1, 1, generator=draw).to(device)
            between = (share * real + (1 - share) * made).requires_grad_()
            slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
            penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
            loss = critic(made).mean() - critic(real).mean() + 10 * penalty
            judges.zero_grad()
            loss.backward()
            judges.step()
        code = torch.randn(BATCH, CODE, 1, 1, generator=draw).to(device)
        builds.zero_grad()
        (-critic(generator(code)).mean()).backward()
        builds.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
