"""PyTorch's work on sharded tensors that grows with the square of their number, done once.

The answers are PyTorch's own; only the repetition goes.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import torch
from torch.distributed.fsdp._fully_shard import _fsdp_param, _fsdp_param_group, _fsdp_state
from torch.distributed.tensor import _op_schema, _sharding_prop
from torch.distributed.tensor.placement_types import _StridedShard

from suiren.torch.distributed import quick_linears, quick_lists, quick_moves, quick_specs
from suiren.torch.distributed.shards import Shards

_installed = False
_libraries: list[torch.library.Library] = []
_NOTHING = nullcontext()


def install() -> None:
    """Takes the repetition out; a second call does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    vars(_fsdp_param)["_chunk_with_empty"] = Shards
    _remember_specs()
    _look_once_for_strides()
    _know_chunks()
    _enter_hooks_directly()
    quick_lists.install()
    quick_specs.install()
    quick_moves.install()
    quick_linears.install()


def _remember_specs() -> None:
    """`OpSchema.args_spec` walks all arguments of a list op, once for each of them."""
    kind: Any = _op_schema.OpSchema
    ask = kind.args_spec.fget

    def args_spec(self: Any) -> Any:
        known = self.__dict__.get("_suiren_specs")
        if known is None or known[0] is not self.args_schema:
            known = self.__dict__["_suiren_specs"] = (self.args_schema, ask(self))
        return known[1]

    kind.args_spec = property(args_spec)


def _look_once_for_strides() -> None:
    """The strategy of every tensor of a list op asks whether any of them is strided."""
    propagate = _sharding_prop._propagate_use_strided_shard_flag
    last: list[Any] = [None, False]

    def once(strategy: Any, schema: Any) -> None:
        specs = schema.args_spec
        if last[0] is not specs:
            kinds = (type(p) for spec in specs for p in spec.placements)
            last[:] = [specs, any(issubclass(kind, _StridedShard) for kind in kinds)]
        if last[1]:
            propagate(strategy, schema)

    vars(_sharding_prop)["_propagate_use_strided_shard_flag"] = once


def _know_chunks() -> None:
    """`_chunk_cat.out` fills what it is given: its shape needs no working out."""
    library = torch.library.Library("aten", "IMPL")
    _libraries.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.impl("_chunk_cat.out", _given_back, "Meta")


def _given_back(tensors: Any, dim: int, num_chunks: int, *, out: Any) -> Any:
    return out


def _enter_hooks_directly() -> None:
    """FSDP's hooks leave dynamo, which costs more than many a hook; here nothing is compiled."""
    for state in (_fsdp_state.FSDPState, _fsdp_param_group.FSDPParamGroup):
        for name, hook in list(vars(state).items()):
            code = getattr(hook, "__code__", None)
            if code is not None and code.co_qualname.startswith("_dynamo_disable."):
                setattr(state, name, quick_specs.direct(hook, hook.__wrapped__))
    vars(_fsdp_param_group)["record_function"] = _named


def _named(name: str) -> Any:
    """A name for a profiler, if one listens."""
    listens = torch.autograd.profiler._is_profiler_enabled
    return torch.profiler.record_function(name) if listens else _NOTHING
