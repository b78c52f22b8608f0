"""Scripts written for `cuda` run on the card: `cuda` names the device, `torch.cuda` answers.

The native part takes `device="cuda"` wherever PyTorch's parser takes a device. Here the
Python face follows: `torch.cuda.*`, `.cuda()`, autocast, GradScaler, `torch.load`. A
script that says "cuda" is also answered "cuda": once it has, `tensor.device` names the
card so, and code that branches on `device.type == "cuda"` takes its usual path.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import torch

from suiren.torch import around, compiling, gcu
from suiren.torch import device as _device
from suiren.torch.distributed import names

_installed = False
_speaks_cuda = False


def to_gcu(where: Any) -> Any:
    """A device, string or ordinal that means CUDA, as the card; anything else unchanged."""
    if isinstance(where, torch.device):
        return torch.device(_device.NAME, where.index) if where.type == "cuda" else where
    if isinstance(where, str) and (where == "cuda" or where.startswith("cuda:")):
        return _device.NAME + where[4:]
    return where


def _to_gcu_type(name: Any) -> Any:
    return _device.NAME if name == "cuda" else name


def speak_cuda() -> None:
    """From now on tensors of the card say that they are on `cuda`."""
    global _speaks_cuda
    if _speaks_cuda:
        return
    _speaks_cuda = True
    answers = {i: torch.device("cuda", i) for i in range(_device.NUM_DEVICES)}
    read = torch._C.TensorBase.device.__get__

    def device(self: torch.Tensor) -> torch.device:
        where: torch.device = read(self)
        if where.type != _device.NAME or compiling.is_on:
            return where
        return answers[where.index or 0]

    torch.Tensor.device = property(device)
    names.speak_cuda()


def install() -> None:
    """Makes `cuda` mean the card; a second call does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    _patch_module()
    _patch_tensors()
    _patch_amp()
    _patch_saving()
    compiling.install(to_gcu)
    _patch_generator()
    _patch_storages()
    around.install(speak_cuda)
    names.install(to_gcu)


# ---- torch.cuda


#: Names that CUDA has and the device's own module does not need.
def _nothing(*_: Any, **__: Any) -> None:
    """Accepted; there is nothing to do on a virtual device."""


def visible_to_cuda() -> int:
    """Cards a cuda script sees: one, unless the environment lists more.

    TOPS_VISIBLE_DEVICES is asked first, then CUDA_VISIBLE_DEVICES.

    Scripts that find several devices in one process reach for `nn.DataParallel`, which is
    not how such cards train.
    """
    for name in ("TOPS_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        listed = os.environ.get(name)
        if listed:
            return min(_device.NUM_DEVICES, len(listed.split(",")))
    return 1


def _patch_module() -> None:
    cuda = torch.cuda
    for name, thing in vars(gcu).items():
        if name.startswith("__") or name in ("torch", "annotations", "amp", "random", "Any"):
            continue
        if not hasattr(cuda, name):
            continue
        patched = _with_cuda_device(thing) if _is_function(thing) else thing
        setattr(cuda, name, patched)
        for part in (cuda.memory, cuda.random, cuda.streams):
            if hasattr(part, name):
                setattr(part, name, patched)
    cuda.CUDAGraph = cuda.graphs.CUDAGraph = gcu.GCUGraph
    cuda.graphs.graph = gcu.graph
    cuda.graphs.is_current_stream_capturing = gcu.is_current_stream_capturing
    cuda.graphs.graph_pool_handle = gcu.graph_pool_handle
    cuda.device_count = visible_to_cuda
    cuda._lazy_init = speak_cuda
    cuda.init = cuda._lazy_init
    cuda.is_available = gcu.is_available
    cuda.is_initialized = gcu.is_initialized
    cuda.current_device = gcu.current_device
    for name in ("range_push", "range_pop", "mark", "range_start", "range_end"):
        setattr(cuda.nvtx, name, _nothing)
    torch.backends.cuda.is_built = lambda: True
    torch.backends.cudnn.is_available = lambda: True
    torch.backends.cudnn.version = lambda: 90100


def _is_function(thing: Any) -> bool:
    return callable(thing) and not isinstance(thing, type)


def _with_cuda_device(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if "device" in keywords:
            keywords["where"] = keywords.pop("device")
        keywords = {k: to_gcu(v) for k, v in keywords.items()}
        return function(*(to_gcu(a) for a in arguments), **keywords)

    return call


# ---- tensors and modules


def _patch_tensors() -> None:
    original_to = torch.Tensor.to

    def to(self: torch.Tensor, *arguments: Any, **keywords: Any) -> torch.Tensor:
        if arguments:
            first = arguments[0]
            if isinstance(first, (str, torch.device, int)) and not isinstance(first, bool):
                arguments = (_said(first), *arguments[1:])
        if "device" in keywords:
            keywords["device"] = _said(keywords["device"])
        return original_to(self, *arguments, **keywords)

    def cuda(
        self: torch.Tensor,
        device: Any = None,
        non_blocking: bool = False,
        memory_format: Any = None,
    ) -> torch.Tensor:
        speak_cuda()
        index = gcu.current_device() if device is None else gcu.index_of(to_gcu(device))
        return original_to(self, torch.device(_device.NAME, index), non_blocking=non_blocking)

    def module_cuda(self: torch.nn.Module, device: Any = None) -> torch.nn.Module:
        return self._apply(lambda t: t.cuda(device))

    read = torch._C.TensorBase.device.__get__
    torch.Tensor.to = to
    torch.Tensor.cuda = cuda
    torch.nn.parameter.UninitializedTensorMixin._allowed_methods += [to, cuda]
    _patch_wrappers()
    torch.Tensor.is_cuda = property(lambda self: read(self).type in (_device.NAME, "cuda"))
    torch.nn.Module.cuda = module_cuda


def _patch_wrappers() -> None:
    """Tensors that wrap others, such as nested ones, are on the card they name."""
    make = torch.Tensor._make_wrapper_subclass

    def make_wrapper(*arguments: Any, **keywords: Any) -> Any:
        keywords = {k: to_gcu(v) if k == "device" else v for k, v in keywords.items()}
        return make(*(to_gcu(a) for a in arguments), **keywords)

    torch.Tensor._make_wrapper_subclass = staticmethod(make_wrapper)


def _patch_storages() -> None:
    def cuda(self: Any, device: Any = None, non_blocking: bool = False) -> Any:
        speak_cuda()
        index = gcu.current_device() if device is None else gcu.index_of(to_gcu(device))
        return self.to(device=torch.device(_device.NAME, index), non_blocking=non_blocking)

    for kind in (torch.UntypedStorage, torch.TypedStorage):
        kind.cuda = cuda
        kind.is_cuda = property(lambda self: self.device.type in (_device.NAME, "cuda"))


def _said(where: Any) -> Any:
    card = to_gcu(where)
    if card is not where:
        speak_cuda()
    elif isinstance(where, int) and not isinstance(where, bool):
        speak_cuda()
        return torch.device(_device.NAME, where)
    return card


# ---- mixed precision


def _patch_amp() -> None:
    autocast, scaler = torch.amp.autocast_mode.autocast, torch.amp.GradScaler
    start_autocast, start_scaler = autocast.__init__, scaler.__init__

    def autocast_init(self: Any, device_type: str, *arguments: Any, **keywords: Any) -> None:
        start_autocast(self, _to_gcu_type(device_type), *arguments, **keywords)

    def scaler_init(self: Any, device: str = "cuda", *arguments: Any, **keywords: Any) -> None:
        start_scaler(self, _to_gcu_type(device), *arguments, **keywords)

    autocast.__init__ = autocast_init
    scaler.__init__ = scaler_init
    for name in ("get_autocast_dtype", "set_autocast_enabled", "set_autocast_dtype"):
        _fix_first(torch, name)
    is_enabled = torch.is_autocast_enabled
    torch.is_autocast_enabled = lambda kind="cuda": is_enabled(_to_gcu_type(kind))
    torch.get_autocast_gpu_dtype = lambda: torch.get_autocast_dtype(_device.NAME)
    available = torch.amp.autocast_mode.is_autocast_available
    torch.amp.autocast_mode.is_autocast_available = lambda kind: available(_to_gcu_type(kind))
    torch.amp.is_autocast_available = torch.amp.autocast_mode.is_autocast_available


def _fix_first(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(kind: Any, *arguments: Any) -> Any:
        return original(_to_gcu_type(kind), *arguments)

    setattr(owner, name, call)


# ---- saving, generators, compile


def _patch_saving() -> None:
    original = torch.load

    @functools.wraps(original)
    def load(f: Any, map_location: Any = None, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(map_location, dict):
            given = {k: to_gcu(v) for k, v in map_location.items()}
            map_location = {**given, **{to_gcu(k): v for k, v in given.items()}}
        elif not callable(map_location):
            map_location = to_gcu(map_location)
        return original(f, map_location, *arguments, **keywords)

    torch.load = load
    torch.serialization.load = load

    def bring(storage: Any, location: str) -> Any:
        """A checkpoint written on CUDA lands on the card."""
        return storage.to(device=to_gcu(location)) if location.startswith("cuda") else None

    def tag(storage: Any) -> str | None:
        """A script that says cuda writes files that say cuda."""
        if _speaks_cuda and storage.device.type == _device.NAME:
            return f"cuda:{storage.device.index or 0}"
        return None

    torch.serialization.register_package(5, tag, bring)


def _patch_generator() -> None:
    original = torch.Generator

    class GeneratorType(type):
        def __instancecheck__(cls, thing: object) -> bool:
            return isinstance(thing, original)

        def __call__(cls, device: Any = "cpu") -> Any:
            return original(device=to_gcu(device))

    class Generator(metaclass=GeneratorType):
        """Makes a `torch.Generator`; `cuda` means the card."""

    torch.Generator = Generator
