"""Social networks: message passing tells which side each member of Zachary's karate club took."""

import networkx as nx
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

STEPS, WIDTH = 20, 16


class Messages(nn.Module):
    """Every node hears the mean and the largest of its neighbours' messages."""

    def __init__(self, width_in, width_out):
        super().__init__()
        self.own, self.heard = nn.Linear(width_in, width_out), nn.Linear(2 * width_in, width_out)

    def forward(self, x, source, target, weight):
        message = x[source] * weight[:, None]
        total = torch.zeros_like(x).index_add(0, target, message)
        count = torch.zeros(len(x), 1, device=x.device).index_add(0, target, weight[:, None])
        index = target[:, None].expand_as(message)
        largest = torch.zeros_like(x).scatter_reduce(0, index, message, "amax", include_self=False)
        return self.own(x) + self.heard(torch.cat([total / count, largest], -1))


class Network(nn.Module):
    def __init__(self, nodes):
        super().__init__()
        self.names = nn.Embedding(nodes, WIDTH)
        self.layers = nn.ModuleList([Messages(WIDTH, WIDTH), Messages(WIDTH, 2)])

    def forward(self, *edges):
        x = self.layers[0](self.names.weight, *edges).relu()
        return self.layers[1](x, *edges)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    club = nx.karate_club_graph()
    pairs = [(a, b, d["weight"]) for a, b, d in club.edges(data=True)]
    source, target, weight = zip(*pairs, *[(b, a, w) for a, b, w in pairs], strict=True)
    edges = [torch.tensor(source), torch.tensor(target), torch.tensor(weight, dtype=torch.float32)]
    edges = [e.to(device) for e in edges]
    sides = torch.tensor([int(club.nodes[n]["club"] == "Officer") for n in club]).to(device)
    known = torch.arange(len(club), device=device) % 3 != 1
    model = Network(len(club)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    losses = []
    for step in range(STEPS):
        scores = model(*edges)
        loss = F.cross_entropy(scores[known], sides[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    right = (scores.argmax(-1) == sides)[~known].float().mean().item()
    print(f"told right of those not seen {right:.2f}")
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
