"""Ops whose wide form is not the host's own: attention, dropout, unscaling, own kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from suiren.core.formats import unrounded
from suiren.numerics.wide import Asked, ValueOf, call, tensors_in


def run_wide(
    asked: Asked, value_of: ValueOf, wide: torch.dtype, device_result: Any
) -> tuple[Any, dict[int, torch.Tensor]] | None:
    """The op on other values; None where the card's own values have to stand for it."""
    if asked.kind.is_random:
        return None
    special = _SPECIAL.get(asked.kind.base)
    if special is not None:
        return special(asked, value_of, wide, device_result)  # type: ignore[no-any-return]
    if asked.kind.is_own:
        with unrounded():
            return _own(asked, value_of)
    return call(asked, value_of, wide)


def _own(asked: Asked, value_of: ValueOf) -> tuple[Any, dict[int, torch.Tensor]]:
    """A kernel of the user's, emulated without any rounding."""
    from suiren.torch.own_op import compute_exactly

    seen = {id(t): value_of(t) for t in tensors_in(asked.args)}
    originals = list(tensors_in(asked.args))
    values = [seen[id(t)] for t in originals]
    name = asked.kind.name.split(".")[1]
    return compute_exactly(name, values, [t.dtype for t in originals]), seen


def _dropout(asked: Asked, value_of: ValueOf, wide: torch.dtype, device_result: Any) -> Any:
    """The mask is the card's: both runs drop the same elements."""
    from suiren.numerics.host import on_host

    x, p, train = asked.args
    value = value_of(x)
    mask = on_host(device_result[1])
    scale = 1.0 if train is False else (0.0 if p == 1 else 1 / (1 - p))
    return (value * mask * scale, mask), {id(x): value}


def _unscale(asked: Asked, value_of: ValueOf, wide: torch.dtype, device_result: Any) -> Any:
    """Gradients times the inverse scale; whether one overflowed is the card's answer."""
    gradients, _, inverse = asked.args
    seen = {id(t): value_of(t) for t in gradients}
    factor = value_of(inverse).to(wide)
    for value in seen.values():
        value.mul_(factor.reshape(()))
    return None, seen


def _nothing(*_: Any) -> None:
    return None


def _softmax_scores(q: Any, k: Any, bias: Any, causal: bool, scale: float | None) -> Any:
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = q @ k.transpose(-1, -2) * factor
    if bias is not None:
        scores = scores + bias
    if causal:
        rows, columns = scores.shape[-2:]
        keep = torch.ones(rows, columns, dtype=torch.bool).tril()
        scores = scores.masked_fill(~keep, -math.inf)
    return scores, factor


def _attention(asked: Asked, value_of: ValueOf, wide: torch.dtype, device_result: Any) -> Any:
    named = dict(asked.named())
    if named.get("dropout_p", 0.0):
        return None
    seen = {id(t): value_of(t) for t in tensors_in(list(named.values()))}
    q, k, v = (seen[id(named[n])] for n in ("query", "key", "value"))
    bias = named.get("attn_bias")
    k, v = _as_many_heads(q, k), _as_many_heads(q, v)
    scores, _ = _softmax_scores(
        q, k, None if bias is None else seen[id(bias)],
        named.get("is_causal", False), named.get("scale"),
    )  # fmt: skip
    result = torch.softmax(scores, -1) @ v
    found = [result, torch.logsumexp(scores, -1)]
    return [*found, *list(tensors_in(device_result))[2:]], seen


def _as_many_heads(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    times = q.shape[-3] // k.shape[-3]
    return k if times == 1 else k.repeat_interleave(times, -3)


def _attention_backward(
    asked: Asked, value_of: ValueOf, wide: torch.dtype, device_result: Any
) -> Any:
    named = dict(asked.named())
    if named.get("dropout_p", 0.0):
        return None
    seen = {id(t): value_of(t) for t in tensors_in(list(named.values()))}
    g, q, k, v, out = (seen[id(named[n])] for n in ("grad_out", "query", "key", "value", "out"))
    if q.shape[-3] != k.shape[-3]:
        return None
    bias = named.get("attn_bias")
    scores, factor = _softmax_scores(
        q, k, None if bias is None else seen[id(bias)],
        named.get("is_causal", False), named.get("scale"),
    )  # fmt: skip
    p = torch.softmax(scores, -1)
    ds = p * (g @ v.transpose(-1, -2) - (g * out).sum(-1, keepdim=True))
    found = [ds @ k * factor, ds.transpose(-1, -2) @ q * factor, p.transpose(-1, -2) @ g]
    given = list(tensors_in(device_result))
    if len(given) > 3 and given[3].numel():
        found.append(ds.sum_to_size(given[3].shape))
    return found, seen


_SPECIAL: dict[str, Callable[..., Any]] = {
    "native_dropout": _dropout,
    "amp_foreach_non_finite_check_and_unscale": _unscale,
    "amp_update_scale": _nothing,
    "scaled_dot_product_fused_attention_overrideable": _attention,
    "scaled_dot_product_fused_attention_overrideable_backward": _attention_backward,
    "fused": _nothing,
}
