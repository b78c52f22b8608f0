"""BF16 autocast, as PyTorch does it: formats follow the data, and every cast is an op.

Products, convolutions and attention run in BF16 and cast the FP32 operands they are given,
a weight once a step. Ops that PyTorch keeps in FP32 cast back. Everything else runs in the
widest format it is given, so what follows a convolution stays in BF16. Each cast forward
has its counterpart backward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from suiren.advise.asked import Ask, Asked
from suiren.advise.rewrite import map_tensors, recall
from suiren.hw.spec import Card
from suiren.mapper.families import work_of
from suiren.trace.call import Call, Tensor, Value

_PRODUCTS = frozenset({"matmul", "convolution", "attention"})
#: Ops that autocast keeps in FP32, by the beginning of their name.
_FULL = (
    "_softmax", "_log_softmax", "_safe_softmax", "native_layer_norm", "native_group_norm",
    "nll_loss", "exp", "log", "pow", "rsqrt", "reciprocal", "mse_loss", "l1_loss", "smooth_l1",
    "huber", "binary_cross", "cumsum", "cumprod", "prod", "norm", "linalg_vector_norm", "sum",
    "cosh", "sinh", "tan.", "acos", "asin", "softplus", "renorm", "dist",
)  # fmt: skip


def use_bf16(asked: Asked, card: Card) -> Asked | None:
    """The step under `torch.autocast(dtype=torch.bfloat16)`; None if it would change nothing."""
    if "bf16" not in card.formats():
        return None
    walk = _Walk(asked)
    last = max(
        (i for i, a in enumerate(asked.asks) if isinstance(a, Ask) and a.phase == "backward"),
        default=-1,
    )
    out: list[Ask | tuple[int, int, int, int, int]] = []
    for index, ask in enumerate(asked.asks):
        out.extend(walk.take(ask) if isinstance(ask, Ask) else [ask])
        if index == last:
            out.extend(walk.backward_casts())
    return replace(asked, asks=tuple(out)) if walk.num_products else None


@dataclass
class _Walk:
    """Follows which allocations hold BF16 now."""

    asked: Asked
    low: set[int] = field(default_factory=set)
    cast_weights: set[int] = field(default_factory=set)
    casts: list[Ask] = field(default_factory=list)
    num_products: int = 0

    def take(self, ask: Ask) -> list[Ask]:
        """The op in its new formats, after the casts it needs."""
        if ask.phase in ("optimizer", "data"):
            return [ask]
        if ask.work.family in _PRODUCTS or (ask.work.family == "fused" and ask.work.product_flop):
            return self._product(ask)
        if ask.call.name.startswith(_FULL):
            return self._full(ask)
        return [self._follow(ask)]

    def _product(self, ask: Ask) -> list[Ask]:
        pairs = _pairs(ask)
        if not any(t.dtype == "f32" for t, _ in pairs):
            return [ask]
        self.num_products += 1
        casts = []
        if ask.phase != "backward":
            casts = [self._cast(ask, t, n) for t, n in pairs if self._needs_cast(t, n)]
            self.casts.extend(casts)
        self.low.update(n for _, n in _results(ask))
        return [*casts, _in_format(ask, lambda t, n: "bf16")]

    def _needs_cast(self, tensor: Tensor, number: int) -> bool:
        if tensor.dtype != "f32" or number in self.low or not tensor.shape:
            return False
        if number in self.asked.lasting:
            if number in self.cast_weights:
                return False
            self.cast_weights.add(number)
        return True

    def _full(self, ask: Ask) -> list[Ask]:
        low = [(t, n) for t, n in _pairs(ask) if t.dtype == "f32" and n in self.low]
        self.low.difference_update(n for _, n in _results(ask))
        if ask.phase == "backward":
            return [ask]
        casts = [self._cast(ask, t, n) for t, n in low]
        self.casts.extend(casts)
        return [*casts, ask]

    def _follow(self, ask: Ask) -> Ask:
        """The widest format among the activations decides; weights of a norm do not."""
        floats = [n for t, n in _pairs(ask) if t.dtype == "f32" and t.shape]
        data = [n for n in floats if n not in self.asked.lasting]
        backward = ask.phase == "backward"
        some, every = any(n in self.low for n in data), all(n in self.low for n in data)
        becomes_low = bool(data) and (some if backward else every)
        numbers = {n for _, n in _results(ask)}
        if becomes_low:
            self.low.update(numbers - self.asked.lasting)
        else:
            self.low.difference_update(numbers)
        return _in_format(
            ask, lambda t, n: "bf16" if n in self.low and n not in self.asked.lasting else "f32"
        )

    def _cast(self, ask: Ask, tensor: Tensor, number: int) -> Ask:
        return _cast(ask, tensor, "f32" if number in self.low else "bf16")

    def backward_casts(self) -> list[Ask]:
        """Gradients cross every cast the other way."""
        return [replace(cast, phase="backward") for cast in self.casts]


def _cast(ask: Ask, tensor: Tensor, to: str) -> Ask:
    plain = Tensor("bf16" if to == "f32" else "f32", tensor.shape)
    arguments: dict[str, Value] = {"self": plain.with_dtype(to), "src": plain}
    call = Call("aten::copy_", arguments, (plain.with_dtype(to),))
    return replace(ask, call=call, work=work_of(call), allocations=())


def _pairs(ask: Ask) -> list[tuple[Tensor, int]]:
    return list(zip(ask.call.inputs(), ask.allocations, strict=False))


def _results(ask: Ask) -> list[tuple[Tensor, int]]:
    inputs = sum(1 for _ in ask.call.inputs())
    return list(zip(ask.call.results(), ask.allocations[inputs:], strict=False))


def _in_format(ask: Ask, wanted: Callable[[Tensor, int], str]) -> Ask:
    """The op with its FP32 tensors in the formats that `wanted(tensor, allocation)` gives."""
    numbers = iter(ask.allocations)
    changed = False

    def tensor(t: Tensor) -> Tensor:
        nonlocal changed
        to = wanted(t, next(numbers, 0))
        if t.dtype != "f32" or to == "f32":
            return t
        changed = True
        return t.with_dtype(to)

    call = map_tensors(ask.call, tensor)
    if not changed:
        return ask
    call.arguments.pop("math", None)
    recipe = call.arguments.get("recipe")
    if isinstance(recipe, str):
        call.arguments["recipe"] = recipe.replace(",math=true", "")
    return recall(ask, call)
