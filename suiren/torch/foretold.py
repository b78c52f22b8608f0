"""Layouts of results while a graph is captured are those that the card answers with.

PyTorch foretells fused attention in the layout of its query. The card answers with heads inside
the sequence, as CUDA's kernels do. A `contiguous()` that the foretold layout makes needless is left
out of the graph, and the view that follows it would fail when the graph runs.
"""

from __future__ import annotations

import functools
from typing import Any

import torch


@functools.cache
def install() -> None:
    """Tells PyTorch's fake tensors the layouts of attention; once a process."""
    from torch._subclasses.fake_impls import register_op_impl

    attention = torch.ops.aten._scaled_dot_product_fused_attention_overrideable.default
    gradient = torch.ops.aten._scaled_dot_product_fused_attention_overrideable_backward.default
    register_op_impl(attention)(_attention)
    register_op_impl(gradient)(_gradient)


def _heads_inside(like: torch.Tensor, width: int) -> torch.Tensor:
    """[batch, heads, sequence, width] that lies as [batch, sequence, heads, width]."""
    batch, heads, sequence, _ = like.shape
    return like.new_empty((batch, sequence, heads, width)).transpose(1, 2)


def _attention(
    mode: Any,
    op: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *_: Any,
    **__: Any,
) -> tuple[Any, ...]:
    out = _heads_inside(query, value.shape[-1])
    log_sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
    seed = query.new_empty((), dtype=torch.int64)
    return (out, log_sums, None, None, query.shape[-2], key.shape[-2], seed, seed.clone(), None)


def _gradient(
    mode: Any,
    op: Any,
    _: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *rest: Any,
    **__: Any,
) -> tuple[Any, ...]:
    return (*(_heads_inside(x, x.shape[-1]) for x in (query, key, value)), None)
