"""A sample's tensors laid on the card as they lie on the host: same strides, offsets, sharing."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_map

HOST = torch.device("cpu")
CARD = torch.device("privateuseone")
"""The card, by the name that PyTorch knows before the device has one."""


def placed(sample: Any, where: torch.device) -> Any:
    """A copy of nested tensors on `where`; leaves that require a gradient stay leaves.

    Storages are copied whole, so overlapping views overlap again. Devices in the sample that
    name the host become `where`.
    """
    storages: dict[int, torch.Tensor] = {}

    def put(thing: Any) -> Any:
        if isinstance(thing, torch.Tensor):
            return _tensor(thing, where, storages) if thing.device == HOST else thing
        if thing == HOST or (isinstance(thing, str) and thing == "cpu"):
            return where
        return thing

    return tree_map(put, sample)


def _tensor(
    tensor: torch.Tensor, where: torch.device, storages: dict[int, torch.Tensor]
) -> torch.Tensor:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
        copy = tensor.detach().to(where) if where.type != "cpu" else tensor.detach().clone()
        return copy.requires_grad_(tensor.requires_grad)
    plain = tensor.detach()
    conjugate, negative = plain.is_conj(), plain.is_neg()
    if conjugate:
        plain = plain.conj()
    if negative:
        plain = plain._neg_view()
    storage = plain.untyped_storage()
    size = storage.nbytes() // plain.element_size() if plain.element_size() else 0
    key = storage.data_ptr()
    whole = storages.get(key) if size else None
    if whole is None or whole.dtype != plain.dtype:
        flat = torch.as_strided(plain, (size,), (1,), 0) if size else plain.new_empty(0)
        whole = storages[key] = flat.clone().to(where)
    view = torch.as_strided(whole, plain.shape, plain.stride(), plain.storage_offset())
    # a view of a tensor that needs no gradient, made into a leaf of its own
    leaf = view.detach()
    if conjugate:
        leaf = leaf.conj()
    if negative:
        leaf = leaf._neg_view()
    return leaf.requires_grad_(tensor.requires_grad)
