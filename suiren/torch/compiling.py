"""`torch.compile` of scripts written for `cuda`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from suiren.torch import device as _device

FUSING = "suiren"
"""The backend that fuses chains of ops into single kernels."""
is_on = 0
"""Graphs being compiled now."""


def offer_fusing() -> None:
    """Lets `torch.compile(backend="suiren")` find the backend; it is loaded when asked for."""
    compile_ = torch.compile

    @functools.wraps(compile_)
    def compile_by_name(*arguments: Any, **keywords: Any) -> Any:
        if keywords.get("backend") == FUSING:
            from suiren.torch.fusing import backend

            keywords["backend"] = backend
        return compile_(*arguments, **keywords)

    torch.compile = compile_by_name


def install(to_gcu: Callable[[Any], Any]) -> None:
    """The default backend generates code for CUDA; on the card graphs run op by op."""
    compile_ = torch.compile
    original = torch._TorchCompileInductorWrapper.__call__

    @functools.wraps(compile_)
    def compile_on_card(*arguments: Any, **keywords: Any) -> Any:
        _tell_the_truth(to_gcu)
        return compile_(*arguments, **keywords)

    def call(self: Any, graph: Any, inputs: Any) -> Any:
        tensors = [x for x in inputs if isinstance(x, torch.Tensor)]
        if any(x.device.type in ("cuda", _device.NAME) for x in tensors):
            from torch._dynamo.backends.debugging import aot_eager

            return aot_eager(graph, inputs)
        return original(self, graph, inputs)

    torch.compile = compile_on_card
    torch._TorchCompileInductorWrapper.__call__ = call


@functools.cache
def _tell_the_truth(to_gcu: Callable[[Any], Any]) -> None:
    """While a graph is compiled, tensors say that they are on the card.

    PyTorch's engine asks for the streams of the device they name.
    """
    from torch._dynamo.callback import on_compile_end, on_compile_start
    from torch._subclasses.fake_tensor import FakeTensor

    def start(*_: Any) -> None:
        global is_on
        is_on += 1

    def end(*_: Any) -> None:
        global is_on
        is_on -= 1

    make = FakeTensor.__new__

    def fake(cls: Any, mode: Any, elem: Any, device: Any, *arguments: Any, **keywords: Any) -> Any:
        return make(cls, mode, elem, to_gcu(device), *arguments, **keywords)

    on_compile_start(start)
    on_compile_end(end)
    FakeTensor.__new__ = staticmethod(fake)
