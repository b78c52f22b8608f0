"""What every op on a sharded tensor goes through in PyTorch's Python, in fewer steps.

Each function below does what PyTorch's does in the cases that a training step meets, and hands
every other case to PyTorch's: where dynamo watches, where something traces or exports, where a
placement is not plain.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import torch
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch._library import simple_registry
from torch.distributed import _functional_collectives as functional
from torch.distributed.tensor import _api, _dispatch, _dtensor_spec
from torch.distributed.tensor.placement_types import Partial, Replicate, Shard

_compiler: Any = torch.compiler
_registry: Any = simple_registry
_put = object.__setattr__


def install() -> None:
    """Takes over; a second call would do no harm but cost time."""
    _make_specs()
    _compare_specs()
    _wrap_results()
    _ask_directly()
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
    compare, hash_key = kind.__eq__, kind._hash_key

    def equal(self: Any, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not kind:
            return bool(compare(self, other))
        return bool(
            (self.mesh is other.mesh or self.mesh == other.mesh)
            and self.placements == other.placements
            and self.shard_order == other.shard_order
            and self.tensor_meta == other.tensor_meta
        )

    def hashed(self: Any) -> int:
        found: int | None = self._hash
        if found is None:
            found = hash(hash_key(self))
            _put(self, "_hash", found)
        return found

    kind.__eq__, kind.__hash__ = equal, hashed


def _ask_directly() -> None:
    """Questions that PyTorch's C++ asks of every result, without a Python frame each."""
    tensor: Any = _api.DTensor
    for name in ("placements", "device_mesh"):
        field = "placements" if name == "placements" else "mesh"
        text = getattr(tensor, name).__doc__
        setattr(tensor, name, property(attrgetter(f"_spec.{field}"), doc=text))
    ask, entries = _registry.find_torch_dispatch_rule, _registry.singleton._data

    def find_rule(op: Any, kind: type) -> Any:
        entry = entries.get(op.__qualname__)
        return ask(op, kind) if entry is None else entry.torch_dispatch_rules._data.get(kind)

    _registry.find_torch_dispatch_rule = find_rule
    functorch: Any = torch._functorch.utils
    unwrap, unwrap_one = functorch.unwrap_dead_wrappers, functorch.unwrap_if_dead
    plain = torch.Tensor

    def unwrap_dead_wrappers(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        for argument in arguments:
            if isinstance(argument, plain) and unwrap_one(argument) is not argument:
                return tuple(unwrap(arguments))
        return arguments

    functorch.unwrap_dead_wrappers = unwrap_dead_wrappers


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
    num_modes, is_included = (
        torch._C._len_torch_dispatch_stack, torch._C._dispatch_tls_is_dispatch_key_included,
    )  # fmt: skip
    python = torch._C.DispatchKey.PythonDispatcher
    before_dispatch = torch._ops._mode_stack_state_for_pre_dispatch

    def are_we_tracing() -> bool:
        if (
            not num_modes()
            and get_eval_frame_callback() is None
            and not is_included(python)
        ):
            return before_dispatch.get(0) is not None
        return bool(ask())

    everywhere("_are_we_tracing", ask, are_we_tracing)


def everywhere(name: str, old: Any, new: Any) -> None:
    """Puts a function in another's place in every module of PyTorch's that has imported it."""
    for title, module in list(sys.modules.items()):
        if title.startswith("torch.distributed") and vars(module).get(name) is old:
            vars(module)[name] = new


def direct(disabled: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    """`inner`, through `disabled` only where dynamo watches this thread's frames."""

    @functools.wraps(inner)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if get_eval_frame_callback() is None:
            return inner(*arguments, **keywords)
        return disabled(*arguments, **keywords)

    vars(call)["_torchdynamo_disable"] = True
    return call
