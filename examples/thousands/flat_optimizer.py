"""AdamW on one flat FP32 buffer, its state cut over the data-parallel cards (ZeRO-1)."""

import torch
import torch.distributed as dist


class FlatAdamW:
    """Parameters become views of one BF16 buffer; gradients are summed in one FP32 buffer."""

    def __init__(self, parameters, group, lr=1e-4, shard=True):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.group, self.shard = group, shard and group.size() > 1
        count = sum(p.numel() for p in self.parameters)
        self.count = -(-count // group.size()) * group.size()
        first = self.parameters[0]
        self.values = torch.empty(self.count, dtype=first.dtype, device=first.device)
        self.grads = torch.zeros(self.count, dtype=torch.float32, device=first.device)
        at = 0
        for p in self.parameters:
            view = self.values[at : at + p.numel()].view_as(p)
            view.copy_(p.data)
            p.data = view
            p.sum = self.grads[at : at + p.numel()].view_as(p)
            p.register_post_accumulate_grad_hook(add_to_sum)
            at += p.numel()
        size = self.count // group.size() if self.shard else self.count
        start = size * group.rank() if self.shard else 0
        self.own = slice(start, start + size)
        self.master = torch.nn.Parameter(self.values[self.own].float())
        self.optimizer = torch.optim.AdamW([self.master], lr=lr, fused=True)

    def step(self, max_norm=1.0):
        own = self.grads[self.own]
        if self.shard:
            dist.reduce_scatter_tensor(own, self.grads, group=self.group)
        elif self.group.size() > 1:
            dist.all_reduce(self.grads, group=self.group)
        own.div_(self.group.size())
        square = own.square().sum() if max_norm is None else own.norm().square()
        dist.all_reduce(square)
        own.mul_((max_norm / (square.sqrt() + 1e-6)).clamp_(max=1.0))
        self.master.grad = own
        self.optimizer.step()
        self.values[self.own].copy_(self.master.data)
        if self.shard:
            dist.all_gather_into_tensor(self.values, self.values[self.own], group=self.group)
        self.grads.zero_()


def add_to_sum(parameter):
    parameter.sum.add_(parameter.grad)
    parameter.grad = None
