"""Trains two steps; computes in 64 bits on two lines."""

import torch

model = torch.nn.Linear(4, 4).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
numbers = [1.0, 2.0, 3.0, 4.0]


def unused():
    return torch.ones(1).cuda()


counts = torch.arange(4, device="cuda")
for _ in range(2):
    counts = counts + counts
    wide = torch.tensor(numbers, device="cuda", dtype=torch.float64)
    loss = model(wide.float()[None]).sum() + counts.float().sum()
    loss.backward()
    optimizer.step()
if len(numbers) > 3:
    torch.cuda.nccl.unique_id()
