"""Convolutions without values keep channels last, as those with values do.

PyTorch's own rule for tensors without storage answers contiguous whatever comes in.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch._meta_registrations import meta_conv, meta_convolution_backward

_library: list[torch.library.Library] = []
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def install() -> None:
    """Takes over the rule; a second call does nothing."""
    if _library:
        return
    library = torch.library.Library("aten", "IMPL", "Meta")
    _library.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.impl("convolution", _convolution, allow_override=True)
        library.impl("convolution_backward", _backward, allow_override=True)


def _convolution(given: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
    return _laid(meta_conv(given, weight, *rest), given, weight)


def _backward(
    gradient: torch.Tensor, given: torch.Tensor, weight: torch.Tensor, *rest: Any
) -> Sequence[torch.Tensor | None]:
    found = meta_convolution_backward(gradient, given, weight, *rest)
    return tuple(None if t is None else _laid(t, given, weight) for t in found)


def _laid(result: torch.Tensor, *operands: torch.Tensor) -> torch.Tensor:
    """The result with channels last where an operand has them last."""
    wanted = _FORMATS.get(result.dim())
    if wanted is None or not any(_is_last(t, wanted) for t in operands):
        return result
    return torch.empty_like(result, memory_format=wanted)


def _is_last(tensor: torch.Tensor, wanted: torch.memory_format) -> bool:
    """Channels last and not contiguous as well, as a tensor of one channel is."""
    return tensor.is_contiguous(memory_format=wanted) and not tensor.is_contiguous()
