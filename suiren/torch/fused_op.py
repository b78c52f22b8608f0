"""The op that a fused kernel is: `suiren::fused(Tensor[] inputs, str recipe, str key)`.

The host runs the group's own small graph op by op, so that values are those of eager mode;
the card sees one call with its inputs and results. The recipe tells the mapper what it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node

from suiren.mapper.families.fused import recipe_of
from suiren.torch import _shim
from suiren.torch.device import multiplies_in_tf32
from suiren.torch.fusible import Kind, is_item, part_of
from suiren.torch.own_op import NAMESPACE, name_of_dtype
from suiren.trace.call import Call, Tensor, Value

_library = torch.library.Library(NAMESPACE, "FRAGMENT")
_bodies: dict[str, GraphModule] = {}
_defined = False
_card = 0
"""The card that runs a kernel now; its generator draws what dropout needs."""
#: Operands of a product that enter the engine, by position.
_OPERANDS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "convolution": (0, 1)}
#: Functional forms that only compiled graphs hold, by the op whose work they do.
_PRICED_AS = {"_native_batch_norm_legit_functional": "native_batch_norm"}


def _define() -> None:
    global _defined
    if not _defined:
        _defined = True
        _library.define("fused(Tensor[] inputs, str recipe, str key) -> Tensor[]")
        _library.impl("fused", _compute, "CPU")
        _library.impl("fused", _compute, "Meta")


def _compute(inputs: Sequence[torch.Tensor], recipe: str, key: str) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(_AsTheCard(_bodies[key]).run(*inputs))


def kernel_of(body: GraphModule) -> Callable[..., list[torch.Tensor]]:
    """A function of the group's inputs that runs the body as one kernel."""
    _define()
    text = "\n".join(f"{n.name} {n.target} {n.args} {n.kwargs}" for n in body.graph.nodes)
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    _bodies.setdefault(key, body)
    recipes: dict[object, str] = {}

    def fused(*inputs: torch.Tensor) -> list[torch.Tensor]:
        global _card
        _card = next((t.device.index for t in inputs if t.device.type != "cpu"), 0) or 0
        tf32 = multiplies_in_tf32("matmul"), multiplies_in_tf32("conv")
        given = (*((t.shape, t.stride(), t.dtype, t.device.type == "cpu") for t in inputs), tf32)
        recipe = recipes.get(given)
        if recipe is None:
            recipe = recipes[given] = _Writer(body).recipe(inputs)
        return list(torch.ops.suiren.fused(list(inputs), recipe, key))

    return fused


def _name(target: Any) -> str:
    return str(target._schema.name).split("::")[-1] if hasattr(target, "_schema") else ""


def _in_tf32(name: str, arguments: Sequence[Any]) -> bool:
    """True where this op multiplies f32 operands in TF32 now."""
    if name not in _OPERANDS:
        return False
    first = next((a for a in arguments if isinstance(a, torch.Tensor)), None)
    kind = "conv" if name == "convolution" else "matmul"
    return first is not None and first.dtype == torch.float32 and multiplies_in_tf32(kind)


class _AsTheCard(Interpreter):
    """Runs the body on the host's tensors; products take operands as the card's engine does."""

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs one op."""
        name = _name(target)
        if name == "native_dropout" and args[0].device.type != "meta":
            return _dropout(*args)
        operands = _OPERANDS.get(name, ())
        if not operands or args[operands[0]].device.type == "meta":
            return target(*args, **kwargs)
        given = list(args)
        if _in_tf32(name, args):
            for index in operands:
                if given[index].dtype == torch.float32:
                    given[index] = _shim.round_to_tf32(given[index])
        half = [isinstance(a, torch.Tensor) and a.dtype == torch.float16 for a in given]
        if not any(half):
            return target(*given, **kwargs)
        wide = [a.float() if is_half else a for a, is_half in zip(given, half, strict=True)]
        return target(*wide, **kwargs).half()


def _dropout(x: torch.Tensor, p: float, train: bool | None) -> tuple[torch.Tensor, torch.Tensor]:
    """As the card's own op: it draws the mask from the card's generator."""
    if train is False:
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    own, host = _shim.generators()[_card], torch.Generator()
    host.set_state(own.get_state())
    mask = torch.empty(x.shape, dtype=torch.bool).bernoulli_(1 - p, generator=host)
    own.set_state(host.get_state())
    return x.mul(mask).mul_(0.0 if p == 1 else 1 / (1 - p)), mask


class _Writer(Interpreter):
    """Runs the body on shapes alone and writes down every call."""

    def __init__(self, body: GraphModule) -> None:
        super().__init__(body)
        self.calls: list[Call] = []

    def recipe(self, inputs: Sequence[torch.Tensor]) -> str:
        """The recipe for inputs like these."""
        shapes = [
            torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device="meta") for t in inputs
        ]
        with torch.no_grad():
            self.run(*shapes)
        return recipe_of(self.calls)

    def run_node(self, n: Node) -> Any:
        """Runs a node, and notes it unless it is a view."""
        result = super().run_node(n)
        if n.op != "call_function" or is_item(n) or part_of(n).kind in (Kind.VIEW, Kind.TURN):
            return result
        args, _ = self.fetch_args_kwargs_from_env(n)
        self.calls.append(_call_of(n.target, args, result))
        return result


def _call_of(target: Any, args: tuple[Any, ...], result: Any) -> Call:
    arguments: dict[str, Value] = {}
    for argument, given in zip(target._schema.arguments, args, strict=False):
        value = _value(given)
        if value is not None:
            arguments[argument.name] = value
    if _in_tf32(_name(target), args):
        arguments["math"] = True
    results = result if isinstance(result, (tuple, list)) else (result,)
    op = _PRICED_AS.get(_name(target), _name(target))
    return Call(f"aten::{op}", arguments, tuple(_value(r) for r in results))


def _value(given: Any) -> Value:
    """What a recipe keeps of an argument: tensors, integers and lists of integers."""
    if isinstance(given, torch.Tensor):
        strides = None if given.is_contiguous() else tuple(given.stride())
        return Tensor(name_of_dtype(given.dtype), tuple(given.shape), strides)
    if isinstance(given, int):
        return given
    if isinstance(given, (list, tuple)) and all(isinstance(n, int) for n in given):
        return tuple(given)
    return None
