"""Changes applied to a script from outside, the script itself unmodified.

A fix is made before the script starts: a module or a line computed in FP32, another loss
scale, BF16 where the script says FP16.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from suiren.numerics.place import Places

_LOW = (torch.float16, torch.bfloat16)
#: In-place forms and what they are with a result of their own.
_OUT_OF_PLACE = {"__iadd__": "add", "add_": "add", "__isub__": "sub", "sub_": "sub",
                 "__imul__": "mul", "mul_": "mul", "addmm_": "addmm", "addcmul_": "addcmul",
                 "baddbmm_": "baddbmm", "__itruediv__": "div", "div_": "div"}  # fmt: skip


@dataclass(frozen=True)
class Fix:
    """One change."""

    kind: str
    """`module`, `line`, `scale` or `bf16`."""
    title: str
    module: str = ""
    file: str = ""
    line: int = 0
    factor: float = 1.0
    """What the loss is scaled by, beside what the script scales it by."""

    def as_json(self) -> dict[str, Any]:
        """Every field, for the process that tries it."""
        return asdict(self)


@contextlib.contextmanager
def applied(fix: Fix | None, places: Places) -> Iterator[None]:
    """Runs its body with the fix in force."""
    if fix is None:
        yield
        return
    with _KINDS[fix.kind](fix, places):
        yield


@contextlib.contextmanager
def _module_in_fp32(fix: Fix, places: Places) -> Iterator[None]:
    original = torch.nn.Module.__call__

    def __call__(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
        # the watcher that names modules is inside: it has not entered this one yet
        if places.path_of(self) != fix.module:
            return original(self, *args, **kwargs)
        low = [t.dtype for t in _tensors((args, kwargs)) if t.dtype in _LOW]
        if any(p.dtype in _LOW for p in self.parameters()):
            self.float()
        with torch.autocast("gcu", enabled=False):
            result = original(self, *_upcast(args), **_upcast(kwargs))
        if low and not torch.is_autocast_enabled("gcu"):
            return _cast(result, low[0])
        return result

    torch.nn.Module.__call__ = __call__  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Module.__call__ = original  # type: ignore[method-assign]


class _LineInFp32(TorchFunctionMode):
    """Calls from one line of the script take FP32 and give FP32."""

    def __init__(self, fix: Fix) -> None:
        super().__init__()
        self.line = (fix.file, fix.line)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self._is_ours() or not any(t.dtype in _LOW for t in _tensors((args, kwargs))):
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "__get__" or name in ("to", "float", "half", "bfloat16", "item", "backward"):
            return func(*args, **kwargs)
        plain = _OUT_OF_PLACE.get(name)
        if plain is None and (name.endswith("_") or "out" in kwargs):
            return func(*args, **kwargs)
        function: Callable[..., Any] = getattr(torch, plain) if plain else func
        with torch.autocast("gcu", enabled=False):
            return function(*_upcast(args), **_upcast(kwargs))

    def _is_ours(self) -> bool:
        frame: Any = sys._getframe(2)
        file, line = self.line
        for _ in range(12):
            if frame is None:
                return False
            if frame.f_code.co_filename == file:
                return bool(frame.f_lineno == line)
            frame = frame.f_back
        return False


@contextlib.contextmanager
def _line_in_fp32(fix: Fix, _: Places) -> Iterator[None]:
    with _LineInFp32(fix):
        yield


@contextlib.contextmanager
def _scale(fix: Fix, _: Places) -> Iterator[None]:
    """The loss is multiplied at the root of the backward, gradients divided before the step.

    A GradScaler of the script starts from the scaled scale instead.
    """
    kind = torch.amp.GradScaler
    make, backward, step = kind.__init__, torch.autograd.backward, torch.optim.Optimizer.step
    has_scaler = False

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal has_scaler
        make(self, *args, **kwargs)
        if self.is_enabled():
            has_scaler = True
            self._init_scale = self._init_scale * fix.factor

    def scaled(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if has_scaler or not isinstance(tensors, torch.Tensor):
            return backward(tensors, *args, **kwargs)
        return backward(tensors * fix.factor, *args, **kwargs)

    def unscale(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if has_scaler:
            return
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.div_(fix.factor)

    from torch.optim.optimizer import register_optimizer_step_pre_hook

    kind.__init__, torch.autograd.backward = init, scaled  # type: ignore[method-assign]
    hook = register_optimizer_step_pre_hook(unscale)
    try:
        yield
    finally:
        kind.__init__, torch.autograd.backward = make, backward  # type: ignore[method-assign]
        torch.optim.Optimizer.step = step  # type: ignore[method-assign]
        hook.remove()


@contextlib.contextmanager
def _bf16(_: Fix, __: Places) -> Iterator[None]:
    """The name float16 means BF16 from now on."""
    half, to_half = torch.float16, (torch.Tensor.half, torch.nn.Module.half)
    start = torch.amp.autocast_mode.autocast.__init__

    @functools.wraps(start)
    def init(self: Any, device_type: str, dtype: Any = None, **kwargs: Any) -> None:
        start(self, device_type, dtype if dtype not in (None, half) else torch.bfloat16, **kwargs)

    torch.float16 = torch.half = torch.bfloat16
    torch.Tensor.half = torch.Tensor.bfloat16  # type: ignore[method-assign]
    torch.nn.Module.half = torch.nn.Module.bfloat16  # type: ignore[method-assign]
    torch.amp.autocast_mode.autocast.__init__ = init  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        torch.float16 = torch.half = half
        torch.Tensor.half, torch.nn.Module.half = to_half  # type: ignore[method-assign]
        torch.amp.autocast_mode.autocast.__init__ = start  # type: ignore[method-assign]


_KINDS: dict[str, Callable[[Fix, Places], contextlib.AbstractContextManager[None]]] = {
    "module": _module_in_fp32, "line": _line_in_fp32, "scale": _scale, "bf16": _bf16,
}  # fmt: skip


def _tensors(thing: Any) -> Iterator[torch.Tensor]:
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, (tuple, list)):
        for item in thing:
            yield from _tensors(item)
    elif isinstance(thing, dict):
        for item in thing.values():
            yield from _tensors(item)


def _cast(thing: Any, dtype: torch.dtype, source: tuple[torch.dtype, ...] | None = None) -> Any:
    if isinstance(thing, torch.Tensor):
        ours = thing.is_floating_point() if source is None else thing.dtype in source
        return thing.to(dtype) if ours else thing
    if isinstance(thing, (tuple, list)):
        return type(thing)(_cast(item, dtype, source) for item in thing)
    if isinstance(thing, dict):
        return {key: _cast(item, dtype, source) for key, item in thing.items()}
    return thing


def _upcast(thing: Any) -> Any:
    return _cast(thing, torch.float32, _LOW)
