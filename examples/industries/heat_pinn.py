"""Engineering: a physics-informed network solves the heat equation; its loss is made of slopes."""

import math

import torch
from torch import nn

STEPS, POINTS, CONDUCTION = 15, 64, 0.1


def slopes(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    net = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    ).to(device)
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=3)
    where = torch.rand(POINTS, 2, generator=draw).to(device).requires_grad_()
    start = torch.rand(POINTS, 2, generator=draw).to(device) * torch.tensor(
        [1.0, 0.0], device=device
    )
    ends = torch.rand(POINTS, 2, generator=draw)
    ends[:, 0] = ends[:, 0].round()
    ends = ends.to(device)

    def loss_now():
        optimizer.zero_grad()
        first = slopes(net(where), where)
        second = slopes(first[:, 0], where)[:, 0]
        inside = (first[:, 1] - CONDUCTION * second).square().mean()
        begun = (net(start).squeeze(-1) - (math.pi * start[:, 0]).sin()).square().mean()
        loss = inside + begun + net(ends).square().mean()
        loss.backward()
        return loss

    losses = []
    for step in range(STEPS):
        losses.append(optimizer.step(loss_now).item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
