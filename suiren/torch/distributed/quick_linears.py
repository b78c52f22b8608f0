"""A column- or row-parallel `Linear` computed on what its rank holds.

PyTorch wraps the input, dispatches every op of the product and of its gradient on sharded
tensors, and unwraps the output: some twenty passes through Python a layer and step. All that
comes of it is the product of the local tensors, and one all-reduce: of the output where rows are
parallel, of the input's gradient where columns are. That is done here directly, in the order in
which PyTorch does it; gradients of gradients are summed by other ops of the same size. Whatever
is not plain goes PyTorch's way: other layouts, hooks besides its own, a bias beside parallel
rows, autocast, modes, transforms, compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch.distributed import _functional_collectives as functional
from torch.distributed.tensor import DTensor, _dtensor_spec
from torch.distributed.tensor.parallel import style
from torch.distributed.tensor.placement_types import Partial, Placement, Replicate, Shard
from torch.nn.modules import module as modules

_Function: Any = torch.autograd.Function
_tensor: Any = torch.Tensor
_flags: Any = torch._C
#: Where hooks of all modules are kept; none of them is PyTorch's own.
_GLOBAL_HOOKS = (
    modules._global_forward_pre_hooks, modules._global_forward_hooks,
    modules._global_backward_pre_hooks, modules._global_backward_hooks,
)  # fmt: skip
_COLUMNS, _ROWS = (Shard(0),), (Shard(1),)
_SUM = Partial()


def install() -> None:
    """Takes over the linear layers that the two styles are applied to from now on."""
    for kind, layouts, weight in (
        (style.ColwiseParallel, ((Replicate(),), (Shard(-1),)), _COLUMNS),
        (style.RowwiseParallel, ((Shard(-1),), (Replicate(),)), _ROWS),
    ):
        _watch(kind, layouts, weight)
    forward = torch.nn.Linear.forward

    def compute(self: Any, input: Any) -> Any:
        return input.through(self) if type(input) is _Entered else forward(self, input)

    torch.nn.Linear.forward = compute  # type: ignore[method-assign]


def _watch(kind: Any, layouts: Any, weight: tuple[Placement, ...]) -> None:
    apply = kind._apply

    def applied(self: Any, module: Any, mesh: Any) -> Any:
        found = apply(self, module, mesh)
        if (
            type(module) is torch.nn.Linear
            and (self.input_layouts, self.output_layouts) == layouts
            and self.use_local_output
            and mesh.ndim == 1
            and mesh.size() > 1
            and mesh._coordinate_on_dim is not None
            and (weight is _COLUMNS or module.bias is None)
        ):
            _Side(module, mesh, weight)
        return found

    kind._apply = applied


class _Side:
    """The two hooks of a layer's style, which step aside where the layer computes directly."""

    def __init__(self, module: Any, mesh: Any, weight: tuple[Placement, ...]) -> None:
        self.mesh, self.weight, self.is_rows = mesh, weight, weight is _ROWS
        before, after = module._forward_pre_hooks, module._forward_hooks
        self.enter: Callable[..., Any] = before[next(reversed(before))]
        self.leave: Callable[..., Any] = after[next(reversed(after))]
        before[next(reversed(before))] = self.before
        after[next(reversed(after))] = self.after

    def before(self, module: Any, inputs: tuple[Any, ...]) -> Any:
        """In place of the style's hook on the input."""
        if len(inputs) == 1 and type(inputs[0]) is torch.Tensor and self._is_plain(module):
            return _Entered(inputs[0], self)
        return self.enter(module, inputs)

    def after(self, module: Any, inputs: Any, output: Any) -> Any:
        """In place of the style's hook on the output."""
        return self.leave(module, inputs, output) if isinstance(output, DTensor) else None

    def _is_plain(self, module: Any) -> bool:
        return (
            type(module) is torch.nn.Linear
            and self._is_mine(module.weight)
            and (module.bias is None or self._is_mine(module.bias))
            and len(module._forward_pre_hooks) == len(module._forward_hooks) == 1
            and not (module._backward_hooks or module._backward_pre_hooks)
            and "forward" not in module.__dict__
            and not any(_GLOBAL_HOOKS)
            and _is_quiet()
        )

    def _is_mine(self, parameter: Any) -> bool:
        spec = parameter._spec if type(parameter) is DTensor else None
        return (
            spec is not None
            and spec.placements == self.weight
            and (spec.mesh is self.mesh or spec.mesh == self.mesh)
        )


def _is_quiet() -> bool:
    """Nothing looks at ops on their way or changes what they do."""
    return not (
        _flags._len_torch_dispatch_stack()
        or _flags._len_torch_function_stack()
        or torch.is_inference_mode_enabled()
        or _flags._is_any_autocast_enabled()
        or _flags._are_functorch_transforms_active()
        or get_eval_frame_callback() is not None
        or functional._are_we_tracing()
    )


class _Entered:
    """An input on its way from the hook before a layer to the layer."""

    __slots__ = ("input", "side")

    def __init__(self, input: Any, side: _Side) -> None:
        self.input, self.side = input, side

    def through(self, layer: Any) -> Any:
        """The layer's output, as its style hands it on."""
        side, given = self.side, self.input
        if side.is_rows:
            partial = torch._C._nn.linear(given, _held(layer.weight))
            return _reduced(partial, side.mesh)
        given = _shared(given, side.mesh)
        weight = _held(layer.weight)
        bias = None if layer.bias is None else _held(layer.bias)  # the later, the sooner backward
        return torch._C._nn.linear(given, weight, bias)


class _Shared(_Function):  # type: ignore[misc]
    """An input that all ranks have: each finds a part of its gradient."""

    @staticmethod
    def forward(context: Any, given: torch.Tensor, mesh: Any) -> torch.Tensor:
        context.mesh = mesh
        context.set_materialize_grads(False)
        return given

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor | None) -> Any:
        if gradient is None:
            return None, None
        if torch.is_grad_enabled():  # PyTorch differentiates this sum no further
            gradient = gradient.detach()
        summed: Any = _SUM._reduce_value(gradient, context.mesh, 0)
        return summed.wait(), None


class _Reduced(_Function):  # type: ignore[misc]
    """The sum of what the ranks have found."""

    @staticmethod
    def forward(context: Any, partial: torch.Tensor, mesh: Any) -> Any:
        context.mesh = mesh
        context.set_materialize_grads(False)
        return _SUM._reduce_value(partial, mesh, 0)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor | None) -> Any:
        if gradient is not None and torch.is_grad_enabled():
            return _shared(gradient, context.mesh), None
        return gradient, None


class _Held(_Function):  # type: ignore[misc]
    """What this rank holds of a parameter; its gradient is sharded as the parameter is."""

    @staticmethod
    def forward(context: Any, parameter: Any) -> torch.Tensor:
        context.spec = parameter._spec
        context.set_materialize_grads(False)
        local: torch.Tensor = parameter._local_tensor
        return local.view_as(local)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor | None) -> Any:
        if gradient is None:
            return None
        spec = context.spec
        if torch.is_grad_enabled() or type(gradient) is not torch.Tensor:
            meta = spec.tensor_meta
            return DTensor.from_local(
                gradient, spec.mesh, spec.placements, run_check=False,
                shape=meta.shape, stride=meta.stride,
            )  # fmt: skip
        new = _dtensor_spec.DTensorSpec(spec.mesh, spec.placements, spec.tensor_meta)
        return _tensor._dtensor__new__(DTensor, gradient, new, requires_grad=False)


# What `Function.apply` does beyond these is for transforms, which `_is_quiet` has ruled out.
_shared: Any = super(_Function, _Shared).apply
_reduced: Any = super(_Function, _Reduced).apply
_held: Any = super(_Function, _Held).apply
