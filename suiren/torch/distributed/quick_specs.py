"""What every op on a sharded tensor goes through in PyTorch's Python, in fewer steps.

Each function below does what PyTorch's does in the cases that a training step meets, and hands
every other case to PyTorch's: where dynamo watches, where something traces or exports, where a
placement is not plain.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch.distributed import _functional_collectives as functional
from torch.distributed.tensor import _api, _dispatch, _dtensor_spec
from torch.distributed.tensor.placement_types import Partial, Replicate, Shard

_compiler: Any = torch.compiler
_put = object.__setattr__


def install() -> None:
    """Takes over; a second call would do no harm but cost time."""
    _make_specs()
    _compare_specs()
    _wrap_results()
    _ask_once_who_traces()


# ---- specs


def _make_specs() -> None:
    """A spec of plain placements has its order of shards from their dimensions."""
    kind: Any = _dtensor_spec.DTensorSpec
    make, meta = kind.__init__, _dtensor_spec.TensorMeta
    orders: dict[tuple[int | None, ...], Any] = {}

    def order_of(placements: tuple[Any, ...]) -> Any:
        """PyTorch's default order; None where a placement is not plain."""
        dims: list[int | None] = []
        for placement in placements:
            which = type(placement)
            if which is Shard:
                dims.append(placement.dim)
            elif which is Replicate or which is Partial:
                dims.append(None)
            else:
                return None
        key = tuple(dims)
        found = orders.get(key)
        if found is None:
            found = orders[key] = kind.compute_default_shard_order(placements)
        return found

    def init(
        self: Any, mesh: Any, placements: Any, tensor_meta: Any = None, shard_order: Any = None,
        use_strided_shard_as_shard_order: bool | None = None,
    ) -> None:  # fmt: skip
        order = order_of(placements) if type(placements) is tuple else None
        if (
            order is None
            or shard_order is not None
            or use_strided_shard_as_shard_order
            or (tensor_meta is not None and type(tensor_meta) is not meta)
        ):
            make(self, mesh, placements, tensor_meta, shard_order, use_strided_shard_as_shard_order)
            return
        _put(self, "mesh", mesh)
        _put(self, "placements", placements)
        _put(self, "tensor_meta", tensor_meta)
        _put(self, "shard_order", order)
        _put(self, "use_strided_shard_as_shard_order", False)
        _put(self, "_hash", None)

    kind.__init__ = functools.wraps(make)(init)


def _compare_specs() -> None:
    """Most comparisons are of a spec with itself, or on the same mesh."""
    kind: Any = _dtensor_spec.DTensorSpec
    compare = kind.__eq__

    def equal(self: Any, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not kind:
            return bool(compare(self, other))
        return (
            (self.mesh is other.mesh or self.mesh == other.mesh)
            and self.placements == other.placements
            and self.shard_order == other.shard_order
            and self.tensor_meta == other.tensor_meta
        )

    kind.__eq__ = equal


# ---- results


def _wrap_results() -> None:
    """PyTorch's constructor leaves dynamo and asks for an export around nothing."""
    tensor: Any = _api.DTensor
    dispatcher: Any = _dispatch.OpDispatcher
    new, start, wrap_any = torch.Tensor._dtensor__new__, tensor.__init__, dispatcher.wrap
    plain, spec_kind = torch.Tensor, _dtensor_spec.DTensorSpec

    def init(self: Any, *arguments: Any, **keywords: Any) -> None:
        if get_eval_frame_callback() is not None or _compiler._is_exporting_flag:
            start(self, *arguments, **keywords)

    def wrap(result: Any, spec: Any) -> Any:
        if (
            type(result) is plain
            and type(spec) is spec_kind
            and get_eval_frame_callback() is None
            and not _compiler._is_exporting_flag
        ):
            return new(tensor, result, spec, requires_grad=result.requires_grad)
        return wrap_any(result, spec)

    tensor.__init__ = functools.wraps(start)(init)
    dispatcher.wrap = staticmethod(wrap)


# ---- calls


def _ask_once_who_traces() -> None:
    """`_are_we_tracing` looks for every mode by itself, through five functions."""
    ask = functional._are_we_tracing
    modes, keys = torch._C._TorchDispatchModeKey, torch._C.DispatchKey
    mode_of, is_included = torch._C._get_dispatch_mode, torch._C._dispatch_tls_is_dispatch_key_included
    fake, proxy, python = modes.FAKE, modes.PROXY, keys.PythonDispatcher
    before_dispatch = torch._ops._mode_stack_state_for_pre_dispatch

    def are_we_tracing() -> bool:
        if (
            mode_of(fake) is None
            and mode_of(proxy) is None
            and get_eval_frame_callback() is None
            and not is_included(python)
        ):
            return before_dispatch.get(0) is not None
        return bool(ask())

    for name in list(sys.modules):
        module = sys.modules[name]
        if name.startswith("torch.distributed") and vars(module).get("_are_we_tracing") is ask:
            vars(module)["_are_we_tracing"] = are_we_tracing


def direct(disabled: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    """`inner`, through `disabled` only where dynamo watches this thread's frames."""

    @functools.wraps(inner)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if get_eval_frame_callback() is None:
            return inner(*arguments, **keywords)
        return disabled(*arguments, **keywords)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]
    return call
