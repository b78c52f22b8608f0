"""Megatron's layers: each tensor cut over the cards of a group, activations cut by sequence."""

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import nn


class Group:
    """The cards that share each layer's tensors."""

    handle, size, rank, by_sequence = None, 1, 0, True

    @classmethod
    def use(cls, handle, by_sequence):
        cls.handle, cls.size, cls.rank = handle, handle.size(), handle.rank()
        cls.by_sequence = by_sequence and handle.size() > 1


def all_reduced(x):
    if Group.size > 1:
        dist.all_reduce(x, group=Group.handle)
    return x


def gathered(x):
    """Sequence pieces put together, along the first dimension."""
    whole = x.new_empty(x.shape[0] * Group.size, *x.shape[1:])
    dist.all_gather_into_tensor(whole, x.contiguous(), group=Group.handle)
    return whole


def scattered(x):
    """The sum over the group, of which each card keeps its piece of the sequence."""
    part = x.new_empty(x.shape[0] // Group.size, *x.shape[1:])
    dist.reduce_scatter_tensor(part, x.contiguous(), group=Group.handle)
    return part


class Enter(torch.autograd.Function):
    """Into a part whose tensors are cut: the whole sequence forward, the sum of gradients back."""

    @staticmethod
    def forward(ctx, x):
        return gathered(x) if Group.by_sequence else x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return scattered(grad) if Group.by_sequence else all_reduced(grad.clone())


class Leave(torch.autograd.Function):
    """Out of it: the other way round."""

    @staticmethod
    def forward(ctx, x):
        return scattered(x) if Group.by_sequence else all_reduced(x.clone())

    @staticmethod
    def backward(ctx, grad):
        return gathered(grad) if Group.by_sequence else grad


class Column(nn.Module):
    """A linear layer whose outputs are cut."""

    def __init__(self, inputs, outputs, bias, device, dtype):
        super().__init__()
        outputs //= Group.size
        self.weight = nn.Parameter(torch.empty(outputs, inputs, device=device, dtype=dtype))
        zeros = torch.zeros(outputs, device=device, dtype=dtype) if bias else None
        self.bias = nn.Parameter(zeros) if bias else None
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class Row(nn.Module):
    """A linear layer whose inputs are cut; the bias is added to the sum."""

    def __init__(self, inputs, outputs, bias, device, dtype):
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(outputs, inputs // Group.size, device=device, dtype=dtype)
        )
        zeros = torch.zeros(outputs, device=device, dtype=dtype) if bias else None
        self.bias = nn.Parameter(zeros) if bias else None
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x):
        y = Leave.apply(F.linear(x, self.weight))
        return y if self.bias is None else y + self.bias


class VocabularyEmbedding(nn.Module):
    """Rows of the table are cut; a card answers zero for words of the others."""

    def __init__(self, words, dim, device, dtype):
        super().__init__()
        self.rows = words // Group.size
        self.weight = nn.Parameter(torch.empty(self.rows, dim, device=device, dtype=dtype))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, tokens):
        """[batch, sequence] to [sequence (a piece of it), batch, dim]."""
        own = tokens.t() - Group.rank * self.rows
        outside = (own < 0) | (own >= self.rows)
        found = F.embedding(own.masked_fill(outside, 0), self.weight)
        return Leave.apply(found.masked_fill(outside[..., None], 0.0))


class VocabularyLoss(torch.autograd.Function):
    """Cross entropy of logits [sequence, batch, words / cards] and labels [batch, sequence]."""

    @staticmethod
    def forward(ctx, logits, labels):
        logits = logits.float()
        largest = logits.amax(-1)
        if Group.size > 1:
            dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=Group.handle)
        exponents = (logits - largest[..., None]).exp_()
        total = all_reduced(exponents.sum(-1))
        words = logits.shape[-1]
        own = labels.t() - Group.rank * words
        outside = (own < 0) | (own >= words)
        own = own.masked_fill(outside, 0)
        target = logits.gather(-1, own[..., None])[..., 0] - largest
        target = all_reduced(target.masked_fill(outside, 0.0))
        ctx.save_for_backward(exponents.div_(total[..., None]), own, outside)
        return (total.log() - target).mean()

    @staticmethod
    def backward(ctx, grad):
        likelihood, own, outside = ctx.saved_tensors
        ones = (~outside).to(likelihood.dtype)
        likelihood.scatter_add_(-1, own[..., None], -ones[..., None])
        return (likelihood * (grad / own.numel())).bfloat16(), None
