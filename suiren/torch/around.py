"""What surrounds a cuda script: old tensor types, `DataParallel`, own kernels, a driver's tools."""

from __future__ import annotations

import functools
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from suiren.torch import gcu, profiling
from suiren.torch.device import NAME


def install(speak_cuda: Callable[[], None]) -> None:
    """Makes each do what one virtual card can."""
    for name, dtype in _LEGACY_TYPES.items():
        setattr(torch.cuda, name, functools.partial(_legacy_tensor, dtype, speak_cuda))
    _patch_types(speak_cuda)
    _patch_data_parallel()
    profiling.install()
    _patch_libraries()
    _answer_questions()


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


def _dtype_of(kind: Any) -> torch.dtype | None:
    """The format of an old tensor type of CUDA, named or given; None for anything else."""
    if isinstance(kind, functools.partial):
        return kind.args[0] if kind.func is _legacy_tensor else None
    if isinstance(kind, str) and kind.startswith("torch.cuda."):
        return _LEGACY_TYPES.get(kind.removeprefix("torch.cuda."))
    return None


def _patch_types(speak_cuda: Callable[[], None]) -> None:
    """`x.type(torch.cuda.FloatTensor)`, `set_default_tensor_type`, by name or type."""
    convert, set_default = torch.Tensor.type, torch.set_default_tensor_type

    def to_type(self: torch.Tensor, dtype: Any = None, *rest: Any, **keywords: Any) -> Any:
        wanted = _dtype_of(dtype)
        if wanted is not None:
            speak_cuda()
            return self.to(device=NAME, dtype=wanted)
        found = convert(self, dtype, *rest, **keywords)
        return found.replace(f"torch.{NAME}.", "torch.cuda.") if isinstance(found, str) else found

    def set_default_tensor_type(kind: Any) -> None:
        wanted = _dtype_of(kind)
        if wanted is None:
            torch.set_default_device(None)
            set_default(kind)
            return
        speak_cuda()
        torch.set_default_dtype(wanted)
        torch.set_default_device(NAME)

    torch.Tensor.type = to_type
    torch.set_default_tensor_type = set_default_tensor_type


_CARD_KEYS = {
    "CUDA": "PrivateUse1",
    "AutogradCUDA": "AutogradPrivateUse1",
    "AutocastCUDA": "AutocastPrivateUse1",
}


def _patch_libraries() -> None:
    """A kernel that a script registers for CUDA also serves the card; PyTorch's own do not."""
    register = torch.library.Library.impl

    def impl(self: Any, op_name: Any, fn: Any, dispatch_key: str = "", **keywords: Any) -> None:
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


def _answer_questions() -> None:
    """What a driver's tools would say, and the history of memory: accepted, short answers."""
    cuda, memory = torch.cuda, torch.cuda.memory

    def snapshot(*_: Any, **__: Any) -> dict[str, Any]:
        segments = [
            {
                "device": 0, "address": row["address"], "total_size": row["total_size"],
                "allocated_size": row["total_size"], "active_size": row["total_size"],
                "requested_size": row["total_size"], "stream": 0, "segment_type": "large",
                "blocks": [], "frames": [], "segment_pool_id": (0, 0), "is_expandable": False,
            }
            for row in gcu.memory_snapshot()
        ]  # fmt: skip
        return {"segments": segments, "device_traces": [[]], "allocator_settings": {}}

    def dump(filename: Any = "dump_snapshot.pickle", *_: Any, **__: Any) -> None:
        Path(filename).write_bytes(pickle.dumps(snapshot()))

    for name, answer in (
        ("_record_memory_history", _nothing), ("_snapshot", snapshot), ("_dump_snapshot", dump),
        ("list_gpu_processes", lambda *_: "GPU:0\nno processes are running"),
        ("get_allocator_backend", lambda: "native"),
    ):  # fmt: skip
        setattr(memory, name, answer)
        if hasattr(cuda, name):
            setattr(cuda, name, answer)
    for name, number in _SAID_OF_THE_CARD.items():
        setattr(cuda, name, functools.partial(_constant, number))
    cuda.device_memory_used = memory.device_memory_used = lambda *_: gcu.memory_reserved()
    cuda.cudart = _Runtime
    cuda._sleep = _nothing
    cuda.get_gencode_flags = lambda: ""
    cuda.get_sync_debug_mode = lambda: 0
    cuda.set_sync_debug_mode = lambda _mode: None


#: Numbers of a driver's tools; the virtual card is cool and idle while a script asks.
_SAID_OF_THE_CARD = {"temperature": 40, "power_draw": 0, "clock_rate": 1000, "memory_usage": 0}


def _nothing(*_: Any, **__: Any) -> None: ...


def _constant(number: int, *_: Any, **__: Any) -> int:
    return number


class _Runtime:
    """What scripts call on `torch.cuda.cudart()`: the profiler's switches."""

    @staticmethod
    def cudaProfilerStart() -> int:  # noqa: N802
        """Accepted."""
        return 0

    @staticmethod
    def cudaProfilerStop() -> int:  # noqa: N802
        """Accepted."""
        return 0
