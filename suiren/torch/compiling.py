"""`torch.compile` of scripts written for `cuda`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from suiren.torch import device as _device
from suiren.torch import foretold
from suiren.torch.launching import as_one

FUSING = "suiren"
"""The backend that fuses chains of ops into single kernels."""
is_on = 0
"""Graphs being compiled now."""


def offer_fusing() -> None:
    """Lets `torch.compile(backend="suiren")` find the backend; it is loaded when asked for."""
    compile_ = torch.compile

    @functools.wraps(compile_)
    def compile_by_name(*arguments: Any, **keywords: Any) -> Any:
        foretold.install()
        if keywords.get("backend") == FUSING:
            from suiren.torch.fusing import backend

            keywords["backend"] = backend
        return compile_(*arguments, **keywords)

    torch.compile = compile_by_name


def install(to_gcu: Callable[[Any], Any]) -> None:
    """The default backend generates code for CUDA; on the card graphs run op by op."""
    for name in ("_cuda_CUDAAllocator_AllocatorState", "_set_cached_tensors_enabled"):
        if not hasattr(torch._C, name):  # names that the compiler's graphs import, and never call
            setattr(torch._C, name, type(name, (), {}))
    compile_ = torch.compile
    original = torch._TorchCompileInductorWrapper.__call__

    @functools.wraps(compile_)
    def compile_on_card(*arguments: Any, **keywords: Any) -> Any:
        _tell_the_truth(to_gcu)
        return compile_(*arguments, **keywords)

    def call(self: Any, graph: Any, inputs: Any) -> Any:
        if not _is_for_card(graph, inputs):
            return original(self, graph, inputs)
        from torch._dynamo.backends.debugging import aot_eager

        as_one = self.config.get("triton.cudagraphs")
        compile_ = {"fw_compiler": _launched_as_one, "bw_compiler": _launched_as_one}
        return aot_eager(graph, inputs, **(compile_ if as_one else {}))

    torch.compile = compile_on_card
    torch._TorchCompileInductorWrapper.__call__ = call


def _is_for_card(graph: Any, inputs: Any) -> bool:
    """A graph may take no tensor at all and make its own on the card."""
    values = [*inputs, *(node.meta.get("example_value") for node in graph.graph.nodes)]
    return any(
        isinstance(x, torch.Tensor) and x.device.type in ("cuda", _device.NAME) for x in values
    )


def _launched_as_one(graph: Any, inputs: Any) -> Any:
    """`mode="reduce-overhead"` and `"max-autotune"` launch a graph of kernels at once."""
    from torch._dynamo.backends.debugging import boxed_nop

    run = boxed_nop(graph, inputs)

    def launch(arguments: list[Any]) -> Any:
        with as_one():
            return run(arguments)

    launch._boxed_call = True
    return launch


@functools.cache
def _tell_the_truth(to_gcu: Callable[[Any], Any]) -> None:
    """While a graph is compiled, tensors say that they are on the card.

    PyTorch's engine asks for the streams of the device they name.
    """
    from torch._dynamo.callback import CallbackArgs, CompilationCallbackHandler
    from torch._subclasses.fake_tensor import FakeTensor

    start, end = (
        CompilationCallbackHandler.run_start_callbacks,
        CompilationCallbackHandler.run_end_callbacks,
    )

    def begin(self: Any, args: CallbackArgs) -> None:
        global is_on
        is_on += 1
        start(self, args)

    def finish(self: Any, args: CallbackArgs) -> None:
        global is_on
        is_on -= 1
        end(self, args)

    make = FakeTensor.__new__

    def fake(cls: Any, mode: Any, elem: Any, device: Any, *arguments: Any, **keywords: Any) -> Any:
        return make(cls, mode, elem, to_gcu(device), *arguments, **keywords)

    # Callbacks that are registered would be forgotten by `torch._dynamo.reset()`.
    CompilationCallbackHandler.run_start_callbacks = begin
    CompilationCallbackHandler.run_end_callbacks = finish
    FakeTensor.__new__ = staticmethod(fake)
