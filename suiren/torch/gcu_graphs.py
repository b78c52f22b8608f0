"""Graphs of `torch.gcu`: capture kernels once, launch them as one."""

from __future__ import annotations

import gc
import warnings
from types import TracebackType
from typing import Any

import torch

from suiren.torch import _shim, watch
from suiren.torch.capturing import NOT_PERMITTED, Capture, Launchable
from suiren.torch.gcu_streams import Stream, StreamContext

_capture: Capture | None = None
_num_pools = 0


def is_current_stream_capturing() -> bool:
    """True while a graph is being captured."""
    return _capture is not None


def graph_pool_handle() -> tuple[int, int]:
    """A name for memory that graphs share; each virtual graph keeps what it needs by itself."""
    global _num_pools
    _num_pools += 1
    return (0, _num_pools)


def refuse_while_capturing() -> None:
    """Raises in CUDA's words if a graph is being captured."""
    if _capture is not None:
        raise torch.AcceleratorError(NOT_PERMITTED)


class GCUGraph:
    """Kernels that are captured once and then launched as one, on the same memory."""

    def __init__(
        self, keep_graph: bool = False, *, pool: Any = None, capture_error_mode: str = "global"
    ) -> None:
        self._captured: Launchable | None = None
        self._pool = pool

    def capture_begin(
        self,
        pool: Any = None,
        capture_error_mode: str = "global",
        check_input_liveness: bool = False,
    ) -> None:
        """From here on kernels are captured; raises RuntimeError inside another capture."""
        global _capture
        if _capture is not None:
            raise RuntimeError("a graph is being captured already; captures cannot be nested")
        if self._captured is not None:
            raise RuntimeError(
                "This CUDAGraph instance already owns a captured graph. To capture a new graph, "
                "create a new instance."
            )
        self._pool = pool or self._pool or graph_pool_handle()
        _capture = Capture()
        watch.captured = watch.Captured()
        _capture.__enter__()

    def capture_end(self) -> None:
        """Ends the capture; memory that was there before it is as it was."""
        global _capture
        if _capture is None:
            raise RuntimeError("capture_end() without capture_begin()")
        capture, seen = _capture, watch.captured or watch.Captured()
        _capture, watch.captured = None, None
        capture.__exit__(None, None, None)
        self._captured = capture.end(seen)
        if not self._captured.kernels:
            warnings.warn(
                "The CUDA Graph is empty. This usually means that the graph was attempted to be "
                "captured on wrong device or stream.",
                stacklevel=2,
            )

    def instantiate(self) -> None:
        """Nothing to do."""

    def replay(self) -> None:
        """Launches the captured kernels; raises RuntimeError if nothing was captured."""
        if self._captured is None:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        refuse_while_capturing()
        self._captured.replay()

    def reset(self) -> None:
        """Lets go of the kernels and their memory."""
        self._captured = None

    def pool(self) -> Any:
        """The name of the graph's memory."""
        return self._pool

    def register_generator_state(self, generator: torch.Generator) -> None:
        """Accepted: every replay draws on from where the generator is."""

    def enable_debug_mode(self) -> None:
        """Accepted."""

    def __enter__(self) -> GCUGraph:
        self.capture_begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.capture_end()

    def debug_dump(self, debug_path: str) -> None:
        """Accepted; nothing is written."""


class graph:  # noqa: N801 - PyTorch's own spelling
    """Context manager: what runs inside is captured into a graph, on a stream of its own."""

    default_capture_stream: Any = None

    def __init__(
        self,
        gcu_graph: GCUGraph | None = None,
        pool: Any = None,
        stream: Any = None,
        capture_error_mode: str = "global",
        **keywords: Any,
    ) -> None:
        found = gcu_graph if gcu_graph is not None else keywords.get("cuda_graph")
        if found is None:
            raise TypeError("graph() takes the GCUGraph to capture into")
        if stream is None and graph.default_capture_stream is None:
            graph.default_capture_stream = Stream()
        self.graph, self.pool = found, pool
        self.stream = StreamContext(stream or graph.default_capture_stream)

    def __enter__(self) -> None:
        _shim.synchronize(int(_shim.current_device()))
        gc.collect()
        _shim.empty_cache()
        self.stream.__enter__()
        self.graph.capture_begin(self.pool)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.graph.capture_end()
        self.stream.__exit__(kind, error, trace)


def install() -> None:
    """Optimizers ask the device whether it is capturing; here they ask this module."""
    optimizer = torch.optim.Optimizer

    def check(self: Any) -> None:
        if _capture is not None and not all(g["capturable"] for g in self.param_groups):
            raise RuntimeError(
                "Attempting CUDA graph capture of step() for an instance of "
                f"{type(self).__name__} but param_groups' capturable is False."
            )

    optimizer._accelerator_graph_capture_health_check = check
    optimizer._cuda_graph_capture_health_check = check
    torch.accelerator.Graph = GCUGraph


def make_graphed_callables(*arguments: Any, **keywords: Any) -> Any:
    """`torch.cuda.make_graphed_callables` on this device: forward and backward as graphs."""
    from torch.cuda import graphs

    return graphs.make_graphed_callables(*arguments, **keywords)
