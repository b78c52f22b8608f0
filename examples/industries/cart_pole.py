"""Control: a policy learns by REINFORCE with a value baseline to balance a pole on a cart."""

import torch
from torch import nn

STEPS, ENVIRONMENTS, LENGTH = 5, 16, 20
GRAVITY, CART_KG, POLE_KG, HALF_M, FORCE_N, TICK_S = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02


def moved(state, right):
    """The state [environments, 4] after one tick: place, speed, angle, turning speed."""
    x, v, angle, turn = state.unbind(1)
    force = torch.where(right, FORCE_N, -FORCE_N)
    total = CART_KG + POLE_KG
    push = (force + POLE_KG * HALF_M * turn.square() * angle.sin()) / total
    bend = (GRAVITY * angle.sin() - angle.cos() * push) / (
        HALF_M * (4 / 3 - POLE_KG * angle.cos().square() / total)
    )
    speed_up = push - POLE_KG * HALF_M * bend * angle.cos() / total
    after = x + TICK_S * v, v + TICK_S * speed_up, angle + TICK_S * turn, turn + TICK_S * bend
    return torch.stack(after, 1)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    body = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3)).to(device)
    optimizer = torch.optim.Adam(body.parameters(), lr=1e-2)
    losses = []
    for step in range(STEPS):
        state = 0.1 * torch.randn(ENVIRONMENTS, 4, generator=draw)
        standing = torch.ones(ENVIRONMENTS, dtype=torch.bool)
        chances, values, rewards = [], [], []
        for _ in range(LENGTH):
            scores, value = body(state.to(device)).split([2, 1], -1)
            policy = torch.distributions.Categorical(logits=scores)
            chance = torch.rand(ENVIRONMENTS, generator=draw)
            action = (chance < policy.probs[:, 1].detach().cpu()).long()
            state = moved(state, action.bool())
            standing &= (state[:, 2].abs() < 0.21) & (state[:, 0].abs() < 2.4)
            chances.append(policy.log_prob(action.to(device)))
            values.append(value.squeeze(-1))
            rewards.append(standing.float())
        returns = torch.stack(rewards).flip(0).cumsum(0).flip(0).to(device)
        values = torch.stack(values)
        advantage = (returns - values).detach()
        loss = -(torch.stack(chances) * advantage).mean() + 0.1 * (returns - values).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(body.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f} held {returns[0].mean().item():.2f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
