"""What `nn.SyncBatchNorm` is made of: ops that PyTorch has for CUDA only, for the host here.

The card hands an op to the host's kernel; these are the host's kernels. The formulas are those
of batch norm, the statistics in FP32 or wider.
"""

from __future__ import annotations

import warnings

import torch

_library: list[torch.library.Library] = []
_Some = torch.Tensor | None


def register() -> None:
    """Gives the ops their kernels; a second call does nothing."""
    if _library:
        return
    library = torch.library.Library("aten", "IMPL")
    _library.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kernel in (
            batch_norm_stats, batch_norm_gather_stats_with_counts, batch_norm_elemt,
            batch_norm_backward_reduce, batch_norm_backward_elemt,
        ):  # fmt: skip
            library.impl(kernel.__name__, kernel, "CPU")


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _other_axes(x: torch.Tensor) -> list[int]:
    return [axis for axis in range(x.dim()) if axis != 1]


def _along(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One value a channel, shaped to go with `x` [N, C, …]."""
    return values.view([1, -1] + [1] * (x.dim() - 2))


def batch_norm_stats(x: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and inverse standard deviation [C] of `x` [N, C, …]."""
    variance, mean = torch.var_mean(_wide(x), _other_axes(x), correction=0)
    return mean, (variance + eps).rsqrt()


def batch_norm_gather_stats_with_counts(
    x: torch.Tensor, mean: torch.Tensor, invstd: torch.Tensor, running_mean: _Some,
    running_var: _Some, momentum: float, eps: float, counts: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Mean and inverse deviation [C] over all ranks, from each rank's [R, C] and counts [R]."""
    share = (counts / counts.sum()).to(mean.dtype)[:, None]
    total = counts.sum().to(mean.dtype)
    whole = (mean * share).sum(0)
    variance = ((invstd.pow(-2) - eps + (mean - whole) ** 2) * share).sum(0)
    if running_mean is not None:
        running_mean.lerp_(whole.to(running_mean.dtype), momentum)
    if running_var is not None:
        unbiased = variance * total / (total - 1)
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return whole, (variance + eps).rsqrt()


def batch_norm_elemt(
    x: torch.Tensor, weight: _Some, bias: _Some, mean: torch.Tensor, invstd: torch.Tensor,
    eps: float,
) -> torch.Tensor:  # fmt: skip
    """`x` normalised, scaled and shifted."""
    out = (_wide(x) - _along(mean, x)) * _along(invstd, x)
    if weight is not None:
        out = out * _along(weight, x)
    if bias is not None:
        out = out + _along(bias, x)
    return out.to(x.dtype)


def batch_norm_backward_reduce(
    grad: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, invstd: torch.Tensor,
    weight: _Some, for_input: bool, for_weight: bool, for_bias: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Sums [C] of the gradient and of gradient times deviation, and the weights' gradients."""
    wide = _wide(grad)
    total = wide.sum(_other_axes(x))
    with_deviation = (wide * (_wide(x) - _along(mean, x))).sum(_other_axes(x))
    kind = weight.dtype if weight is not None else total.dtype
    return total, with_deviation, (with_deviation * invstd).to(kind), total.to(kind, copy=True)


def batch_norm_backward_elemt(
    grad: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, invstd: torch.Tensor,
    weight: _Some, sum_dy: torch.Tensor, sum_dy_xmu: torch.Tensor, count: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """The gradient of the input; the sums and counts are those of all ranks."""
    total = count.sum().to(sum_dy.dtype)
    deviation = _wide(x) - _along(mean, x)
    slope = _along(invstd**2 * sum_dy_xmu / total, x)
    out = (_wide(grad) - _along(sum_dy / total, x) - deviation * slope) * _along(invstd, x)
    if weight is not None:
        out = out * _along(weight, x)
    return out.to(x.dtype)
