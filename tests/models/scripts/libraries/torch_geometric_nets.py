"""Graph networks of torch_geometric on a ring with chords: convolutions of four kinds, pooled."""

import torch
import torch.nn.functional as F
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GATv2Conv, GCNConv, GINConv, SAGEConv, global_mean_pool

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


def ring(nodes):
    ahead = torch.arange(nodes)
    edges = torch.stack([ahead, (ahead + 1) % nodes])
    edges = torch.cat([edges, edges.flip(0), torch.stack([ahead, (ahead * 3) % nodes])], 1)
    return Data(x=torch.randn(nodes, 8), edge_index=edges, y=torch.tensor([nodes % 2]))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([
            GCNConv(8, 16), GATv2Conv(16, 8, heads=2), SAGEConv(16, 16, aggr="max"),
            GINConv(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))),
        ])  # fmt: skip
        self.head = nn.Linear(16, 2)

    def forward(self, graph):
        x = graph.x
        for layer in self.layers:
            x = layer(x, graph.edge_index).relu()
        return self.head(global_mean_pool(x, graph.batch))


graphs = Batch.from_data_list([ring(n) for n in range(5, 21)]).to(device)
model = Net().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(4):
    loss = F.cross_entropy(model(graphs), graphs.y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.6f}")
