"""Redistribution of sharded tensors in fewer steps: the same collectives, asked for directly.

PyTorch plans every redistribution anew and takes every functional collective through its
autograd formula and a custom op. Where no gradient is asked for, nothing traces and a mesh has one
dimension, all of that comes down to one all-reduce and one wait.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed import _functional_collectives as functional
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import _dispatch, _redistribute
from torch.distributed.tensor.placement_types import Partial, Replicate
from torch.utils._debug_mode._mode import get_active_debug_mode

from suiren.torch.distributed.quick_specs import everywhere


def install() -> None:
    """Takes over; to be called after `quick_specs.install` and before anything traces."""
    _call_collectives_directly()
    _redistribute_directly()
    _compute_directly()


# ---- functional collectives


def _needs_no_gradient(tensor: torch.Tensor) -> bool:
    """A plain tensor whose op autograd would not see."""
    return type(tensor) is torch.Tensor and not (torch.is_grad_enabled() and tensor.requires_grad)


def _call_collectives_directly() -> None:
    """Their kernels, below the autograd formula that would only have passed them on."""
    asked: Any = functional
    reduce_all, wait, wrap = asked.all_reduce, asked.wait_tensor, asked._wrap_tensor_autograd
    reduce_op = torch.ops._c10d_functional.all_reduce.default
    wait_op = torch.ops._c10d_functional.wait_tensor.default
    below = torch._C._AutoDispatchBelowAutograd

    def all_reduce(self: torch.Tensor, reduceOp: str, group: Any, tag: str = "") -> Any:  # noqa: N803
        if not _needs_no_gradient(self) or asked._are_we_tracing():
            return reduce_all(self, reduceOp, group, tag)
        if type(group) is tuple and type(group[0]) is DeviceMesh:
            name = group[0]._dim_group_names[group[1]]
        else:
            name = asked._group_or_group_name(asked._resolve_group(group, tag))
        with below():
            reduced = reduce_op(self, reduceOp.lower(), name)
        return asked.AsyncCollectiveTensor(reduced)

    def wait_tensor(tensor: torch.Tensor) -> Any:
        if not _needs_no_gradient(tensor):
            return wait(tensor)
        with below():
            return wait_op(tensor)

    def wrap_tensor(tensor: torch.Tensor) -> Any:
        return asked.AsyncCollectiveTensor(tensor) if _needs_no_gradient(tensor) else wrap(tensor)

    asked.all_reduce, asked.wait_tensor = all_reduce, wait_tensor
    asked._wrap_tensor_autograd = wrap_tensor


# ---- redistribution


def _redistribute_directly() -> None:
    """On one dimension: nothing where placements are equal, one all-reduce of partial sums."""
    move = _redistribute.redistribute_local_tensor
    waits_for = functional.AsyncCollectiveTensor

    def redistribute_local_tensor(
        local_tensor: torch.Tensor, current_spec: Any, target_spec: Any, *, async_op: bool = False,
        use_graph_based_transform: bool | None = None, is_explicit: bool = False,
    ) -> Any:  # fmt: skip
        mesh, now, then = current_spec.mesh, current_spec.placements, target_spec.placements
        if (
            mesh is not target_spec.mesh
            or len(now) != 1
            or type(now[0]) not in (Partial, Replicate)
            or type(then[0]) is not Replicate
            or mesh._coordinate_on_dim is None
            or mesh.size() == 1
            or get_active_debug_mode() is not None
            or functional._are_we_tracing()
        ):
            return move(
                local_tensor, current_spec, target_spec, async_op=async_op,
                use_graph_based_transform=use_graph_based_transform, is_explicit=is_explicit,
            )  # fmt: skip
        if type(now[0]) is Replicate:
            return local_tensor
        moved = now[0]._reduce_value(local_tensor, mesh, 0)
        return moved.wait() if not async_op and isinstance(moved, waits_for) else moved

    everywhere("redistribute_local_tensor", move, redistribute_local_tensor)


# ---- local ops


def _compute_directly() -> None:
    """An op whose arguments change on the way, as a view's shape does: changed, then called."""
    dispatcher: Any = _dispatch.OpDispatcher
    compute = dispatcher._dispatch_get_local_results_slow_path

    def local_results(self: Any, op: Any, arguments: Any, info: Any) -> Any:
        sharding = info.output_sharding
        schema = None if sharding is None else sharding.redistribute_schema
        if (
            schema is None
            or not sharding.needs_redistribute
            or schema.op is not op
            or info.args_tree_spec
            or op in self._random_ops
            or info.compute_mesh._coordinate_on_dim is None
            or get_active_debug_mode() is not None
            or functional._are_we_tracing()
        ):
            return compute(self, op, arguments, info)
        self.redistribute_local_args(info, schema, sharding.use_val_from_redistribute_schema)
        return op(*info.local_args, **info.local_kwargs)

    dispatcher._dispatch_get_local_results_slow_path = local_results
