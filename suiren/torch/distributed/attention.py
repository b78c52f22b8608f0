"""Attention over meshes: PyTorch's rules for flash attention serve the card's own attention.

`DTensor` and context parallelism know how to shard flash attention. The card's attention is
another op with the same meaning: sharded as flash attention, each part runs as the card's own.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

_library: list[torch.library.Library] = []
aten = torch.ops.aten


def install() -> None:
    """Lets the rules serve the card; a second call does nothing. Imports `DTensor`."""
    if _library:
        return
    library = torch.library.Library("aten", "IMPL")
    _library.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.impl("_scaled_dot_product_flash_attention", _own, "PrivateUse1")
        library.impl("_scaled_dot_product_flash_attention_backward", _own_backward, "PrivateUse1")
    from torch.distributed.tensor import DTensor

    handlers: dict[Any, Any] = DTensor._op_dispatcher._custom_op_handlers
    handlers |= {
        aten._scaled_dot_product_fused_attention_overrideable.default: _sharded,
        aten._scaled_dot_product_fused_attention_overrideable_backward.default: _sharded_backward,
    }


# ---- each part: flash attention, asked of the card, is the card's own


def _own(
    q: Any, k: Any, v: Any, dropout_p: float = 0.0, is_causal: bool = False,
    return_debug_mask: bool = False, *, scale: float | None = None,
) -> Any:  # fmt: skip
    found = aten._scaled_dot_product_fused_attention_overrideable(
        q, k, v, None, dropout_p, is_causal, return_debug_mask, scale=scale
    )
    # what flash attention leaves out is a scalar to the rules of meshes
    return tuple(torch.empty(()) if i in (2, 3, 7) else part for i, part in enumerate(found))


def _own_backward(
    grad: Any, q: Any, k: Any, v: Any, out: Any, logsumexp: Any, cum_seq_q: Any, cum_seq_k: Any,
    max_q: int, max_k: int, dropout_p: float, is_causal: bool, seed: Any, offset: Any, *,
    scale: float | None = None,
) -> Any:  # fmt: skip
    return aten._scaled_dot_product_fused_attention_overrideable_backward(
        grad, q, k, v, None, [True, True, True, False], out, logsumexp, cum_seq_q, cum_seq_k,
        max_q, max_k, dropout_p, is_causal, seed, offset, scale=scale,
    )[:3]  # fmt: skip


# ---- the whole: the card's own, asked of DTensors, is sharded as flash attention


def _sharded(_: Any, given: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    q, k, v, bias, *rest = (*given, None)[: max(4, len(given))]
    if bias is not None:
        raise NotImplementedError(
            "attention with a mask is not sharded over a mesh: pass is_causal=True, or give "
            "scaled_dot_product_attention each rank's own heads as plain tensors"
        )
    return aten._scaled_dot_product_flash_attention.default(q, k, v, *rest, **keywords)


def _sharded_backward(_: Any, given: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    grad, q, k, v, _bias, _mask, *rest = given
    found = aten._scaled_dot_product_flash_attention_backward.default(
        grad, q, k, v, *rest, **keywords
    )
    return (*found, None)
