"""Dynamics: a neural ODE of a pendulum, its gradient by the adjoint in a custom function."""

import torch
from torch import nn

STEPS, BATCH, TICKS, TICK_S = 8, 16, 10, 0.1


def runge_kutta(slope, y, tick):
    k1 = slope(y)
    k2 = slope(y + tick / 2 * k1)
    k3 = slope(y + tick / 2 * k2)
    k4 = slope(y + tick * k3)
    return y + tick / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class Integrated(torch.autograd.Function):
    """Keeps only the end: backward runs time back beside the gradient."""

    @staticmethod
    def forward(ctx, y, net, *weights):
        for _ in range(TICKS):
            y = runge_kutta(net, y, TICK_S)
        ctx.net = net
        ctx.save_for_backward(y, *weights)
        return y

    @staticmethod
    def backward(ctx, grad):
        y, *weights = ctx.saved_tensors
        sums = [torch.zeros_like(w) for w in weights]
        for _ in range(TICKS):
            before = runge_kutta(ctx.net, y, -TICK_S).detach().requires_grad_()
            with torch.enable_grad():
                after = runge_kutta(ctx.net, before, TICK_S)
            grad, *parts = torch.autograd.grad(after, [before, *weights], grad)
            sums = [s + p for s, p in zip(sums, parts, strict=True)]
            y = before.detach()
        return grad, None, *sums


def pendulum(y):
    return torch.stack([y[:, 1], -9.81 * y[:, 0].sin()], 1)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2)).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for step in range(STEPS):
        start = torch.randn(BATCH, 2, generator=draw)
        end = start
        for _ in range(TICKS):
            end = runge_kutta(pendulum, end, TICK_S)
        told = Integrated.apply(start.to(device), net, *net.parameters())
        loss = (told - end.to(device)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
