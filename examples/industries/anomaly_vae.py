"""Quality control: a variational autoencoder of good parts; what it cannot redraw is suspect."""

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch import nn

STEPS, BATCH, CODE = 12, 32, 4


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 64), nn.Softplus(), nn.Linear(64, 2 * CODE))
        self.decode = nn.Sequential(nn.Linear(CODE, 64), nn.Softplus(), nn.Linear(64, 64))

    def forward(self, x, noise):
        mean, log_variance = self.encode(x).chunk(2, -1)
        code = mean + noise * (0.5 * log_variance).exp()
        return self.decode(code), torch.distributions.Normal(mean, (0.5 * log_variance).exp())


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    digits = load_digits()
    parts = torch.tensor(digits.data).float() / 16
    good, bad = parts[digits.target < 8], parts[digits.target >= 8]
    model = VAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, amsgrad=True)
    usual = torch.distributions.Normal(torch.zeros(CODE, device=device), 1.0)
    losses = []
    for step in range(STEPS):
        x = good[torch.randint(0, len(good), (BATCH,), generator=draw)].to(device)
        noise = torch.randn(BATCH, CODE, generator=draw).to(device)
        redrawn, posterior = model(x, noise)
        loss = F.binary_cross_entropy_with_logits(redrawn, x, reduction="sum")
        loss = (loss + torch.distributions.kl_divergence(posterior, usual).sum()) / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    with torch.no_grad():
        still = torch.zeros(1, CODE, device=device)
        errors = [F.mse_loss(model(p.to(device), still)[0].sigmoid(), p.to(device)).item()
                  for p in (good, bad)]  # fmt: skip
    print(f"error of good parts {errors[0]:.4f}, of others {errors[1]:.4f}")
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
