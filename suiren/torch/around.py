"""What surrounds a cuda script: old tensor types, data parallelism in one process, the profiler."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

from suiren.torch.device import NAME


def install(speak_cuda: Callable[[], None]) -> None:
    """Makes each do what one virtual card can."""
    for name, dtype in _LEGACY_TYPES.items():
        setattr(torch.cuda, name, functools.partial(_legacy_tensor, dtype, speak_cuda))
    _patch_data_parallel()
    _patch_profiler()
    _patch_libraries()


_LEGACY_TYPES = {
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
    "HalfTensor": torch.float16,
    "BFloat16Tensor": torch.bfloat16,
    "LongTensor": torch.int64,
    "IntTensor": torch.int32,
    "ShortTensor": torch.int16,
    "CharTensor": torch.int8,
    "ByteTensor": torch.uint8,
    "BoolTensor": torch.bool,
}


def _legacy_tensor(
    dtype: torch.dtype, speak_cuda: Callable[[], None], *arguments: Any
) -> torch.Tensor:
    """`torch.cuda.FloatTensor(2, 3)` or `(data)`, as old scripts make tensors."""
    speak_cuda()
    if arguments and all(isinstance(a, int) for a in arguments):
        return torch.empty(*arguments, dtype=dtype, device=NAME)
    data = arguments[0] if arguments else []
    if isinstance(data, torch.Size):
        return torch.empty(data, dtype=dtype, device=NAME)
    if isinstance(data, torch.Tensor):
        return data.to(device=NAME, dtype=dtype)
    return torch.tensor(data, dtype=dtype, device=NAME)


_CARD_KEYS = {
    "CUDA": "PrivateUse1",
    "AutogradCUDA": "AutogradPrivateUse1",
    "AutocastCUDA": "AutocastPrivateUse1",
}


def _patch_libraries() -> None:
    """A kernel that a script registers for CUDA also serves the card; PyTorch's own do not."""
    register = torch.library.Library.impl

    def impl(
        self: Any, op_name: Any, fn: Any, dispatch_key: str = "", **keywords: Any
    ) -> None:
        register(self, op_name, fn, dispatch_key, **keywords)
        key = _CARD_KEYS.get(dispatch_key or self.dispatch_key)
        if key is not None and not _asker().startswith("torch."):
            register(self, op_name, fn, key, **keywords)

    torch.library.Library.impl = impl


def _asker() -> str:
    """The module that asks for a registration, PyTorch's own ways to do so left out."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name not in ("torch.library", "torch._library.custom_ops", "functools"):
            return name
        frame = frame.f_back
    return ""


def _patch_data_parallel() -> None:
    """On one card `nn.DataParallel` is the module itself."""
    original = torch.nn.DataParallel.forward

    def forward(self: Any, *inputs: Any, **keywords: Any) -> Any:
        if len(self.device_ids) <= 1:
            return self.module(*inputs, **keywords)
        return original(self, *inputs, **keywords)

    torch.nn.DataParallel.forward = forward


def _patch_profiler() -> None:
    """A profile of CUDA's activities holds the host's: the card's times are simulated elsewhere."""
    cuda = torch.profiler.ProfilerActivity.CUDA
    start = torch.profiler.profile.__init__

    def init(self: Any, *, activities: Any = None, **keywords: Any) -> None:
        if activities is not None:
            activities = [a for a in activities if a != cuda] or [
                torch.profiler.ProfilerActivity.CPU
            ]
        start(self, activities=activities, **keywords)

    torch.profiler.profile.__init__ = init
    begin = torch.autograd.profiler.profile.__init__

    def init_autograd(self: Any, enabled: bool = True, **keywords: Any) -> None:
        if keywords.get("use_device") == "cuda":
            keywords["use_device"] = None
        keywords.pop("use_cuda", None)
        begin(self, enabled, **keywords)

    torch.autograd.profiler.profile.__init__ = init_autograd
