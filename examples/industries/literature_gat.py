"""Literature: graph attention finds how often the characters of Les Misérables meet."""

import networkx as nx
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

STEPS, WIDTH, HEADS = 15, 32, 4


class Attention(nn.Module):
    """Softmax over each node's own neighbours, of which every node has another number."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(WIDTH, WIDTH, bias=False)
        self.source, self.target = (nn.Parameter(torch.randn(HEADS, WIDTH // HEADS) / 4)
                                    for _ in range(2))  # fmt: skip

    def forward(self, x, source, target):
        h = self.project(x).view(len(x), HEADS, -1)
        score = (h * self.source).sum(-1)[source] + (h * self.target).sum(-1)[target]
        score = F.leaky_relu(score, 0.2)
        index = target[:, None].expand_as(score)
        peak = torch.full((len(x), HEADS), -torch.inf, device=x.device)
        peak = peak.scatter_reduce(0, index, score.detach(), "amax")
        weight = (score - peak[target]).exp()
        total = torch.zeros_like(peak).scatter_add(0, index, weight)
        weight = weight / total[target]
        out = torch.zeros_like(h).index_add(0, target, h[source] * weight[..., None])
        return x + F.elu(out.flatten(1))


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    novel = nx.les_miserables_graph()
    number = {name: i for i, name in enumerate(novel)}
    rows = [(number[a], number[b], d["weight"]) for a, b, d in novel.edges(data=True)]
    pairs = torch.tensor([row[:2] for row in rows]).T
    loops = torch.arange(len(number)).expand(2, -1)
    source, target = torch.cat([pairs, pairs.flip(0), loops], 1).to(device)
    meetings = torch.tensor([float(row[2]) for row in rows]).log1p().to(device)
    names = nn.Embedding(len(number), WIDTH).to(device)
    layers = nn.ModuleList([Attention(), Attention()]).to(device)
    head = nn.Bilinear(WIDTH, WIDTH, 1).to(device)
    weights = [*names.parameters(), *layers.parameters(), *head.parameters()]
    optimizer = torch.optim.RAdam(weights, lr=0.01)
    losses = []
    for step in range(STEPS):
        x = names.weight
        for layer in layers:
            x = layer(x, source, target)
        a, b = x[pairs[0].to(device)], x[pairs[1].to(device)]
        loss = F.huber_loss(head(a, b).squeeze(-1), meetings)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
