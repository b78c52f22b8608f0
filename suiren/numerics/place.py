"""Where an op stands: step, phase, module path and the line of the user's code.

A backward op stands where the forward op of the same autograd node does: both know the
node's number in the sequence.
"""

from __future__ import annotations

import linecache
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import suiren

#: Forward places that are remembered for the backward.
REMEMBERED = 1 << 18
_OURS = str(Path(suiren.__file__).parent)
_TORCH = str(Path(torch.__file__).parent)
_LIBRARY = (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"])
_NO_NODE = 2**63


@dataclass(frozen=True)
class Place:
    """Where one op stands."""

    step: int
    """Counted from 0: optimizer steps that ended before, skipped ones included."""
    phase: str
    """`forward`, `backward`, `recompute`, `optimizer` or `data`."""
    module: str
    """Path from the root module that was called, empty outside every module."""
    file: str
    line: int
    op: str
    node: str = ""
    """The autograd node, in the backward."""

    @property
    def text(self) -> str:
        """The source line itself, stripped."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def where(self) -> str:
        """`train.py:47`."""
        return f"{Path(self.file).name}:{self.line}" if self.file else "no line of the script"

    @property
    def key(self) -> tuple[str, int, str, str, str]:
        """What two ops of different steps share when they are the same op of the program."""
        return (self.file, self.line, self.op, self.phase, self.module)


def _is_users(filename: str) -> bool:
    return not filename.startswith((_OURS, _TORCH, *_LIBRARY, "<"))


class Places:
    """Follows modules, steps and the backward, and says where the running op stands."""

    def __init__(self) -> None:
        self.step = 0
        self.modules: list[str] = []
        self.calls: list[int] = []
        """One number a module call in progress, so that two calls of a module differ."""
        self.num_calls = 0
        self.in_optimizer = False
        self._by_sequence: dict[int, Place] = {}
        self._paths: dict[int, tuple[Any, str]] = {}
        self._users: dict[str, bool] = {}

    # ---- modules

    def enter(self, module: torch.nn.Module) -> None:
        """A module's call begins."""
        if not self.modules:
            self._name_all(module)
        found = self._paths.get(id(module))
        if found is None or found[0]() is not module:
            self._name_all(module)
            found = self._paths[id(module)]
        self.num_calls += 1
        self.modules.append(found[1])
        self.calls.append(self.num_calls)

    def leave(self) -> None:
        """The innermost module's call ends."""
        self.modules.pop()
        self.calls.pop()

    def path_of(self, module: torch.nn.Module) -> str:
        """The path that the module has, or will have when it is called now."""
        found = self._paths.get(id(module))
        if found is None or found[0]() is not module:
            self._name_all(module)
            found = self._paths[id(module)]
        return found[1]

    def _name_all(self, root: torch.nn.Module) -> None:
        import weakref

        known = self._paths.get(id(root))
        if known is not None and known[0]() is root:
            return
        kind = type(root).__name__
        prefix = f"{self.modules[-1]}.{kind}" if self.modules else kind
        for name, child in root.named_modules():
            path = f"{prefix}.{name}" if name else prefix
            self._paths[id(child)] = (weakref.ref(child), path)

    # ---- lines

    def line(self, frame: FrameType | None) -> tuple[str, int, bool]:
        """(file, line, inside the engine) of the innermost frame of the user's code.

        Inside the engine no frame of the user's stands between the op and `backward`.
        """
        is_users = self._users
        in_engine = False
        while frame is not None:
            code = frame.f_code
            name = code.co_filename
            users = is_users.get(name)
            if users is None:
                users = is_users[name] = _is_users(name)
            if users:
                return name, frame.f_lineno, in_engine
            if code.co_name == "_engine_run_backward":
                in_engine = True
            frame = frame.f_back
        return "", 0, in_engine

    def here(self, op: str, is_data: bool) -> Place:
        """Where the op that is being dispatched stands."""
        file, line, in_engine = self.line(sys._getframe(2))
        module = self.modules[-1] if self.modules else ""
        node = torch._C._current_autograd_node()
        if node is not None and in_engine:
            return self._backward(op, node, file, line)
        if node is not None and self.modules:
            return Place(self.step, "recompute", module, file, line, op)
        if node is not None:  # a backward or a hook that the script wrote itself
            return replace(self._backward(op, node, file, line), file=file, line=line)
        phase = "forward"
        if self.in_optimizer:
            phase = "optimizer"
        elif is_data and not self.modules:
            phase = "data"
        place = Place(self.step, phase, module, file, line, op)
        if phase == "forward" and torch.is_grad_enabled():
            number = torch._C._autograd._get_sequence_nr() - 1
            if number >= 0 and number not in self._by_sequence:
                self._remember(number, place)
        return place

    def _remember(self, number: int, place: Place) -> None:
        self._by_sequence[number] = place
        if len(self._by_sequence) > REMEMBERED:
            for old in list(self._by_sequence)[: REMEMBERED // 2]:
                del self._by_sequence[old]

    def _backward(self, op: str, node: Any, file: str, line: int) -> Place:
        name = node.name() if callable(getattr(node, "name", None)) else type(node).__name__
        name = name.rpartition("::")[2]
        number = node._sequence_nr()
        forward = self._by_sequence.get(number) if number < _NO_NODE else None
        if forward is not None:
            if not forward.file:
                forward = replace(forward, file=file, line=line)
            return replace(forward, step=self.step, phase="backward", op=op, node=name)
        return Place(self.step, "backward", self._owner(node), file, line, op, name)

    def _owner(self, node: Any) -> str:
        """The parameter whose gradient is accumulated, as a path."""
        parameter = getattr(node, "variable", None)
        if parameter is None:
            return ""
        for reference, path in self._paths.values():
            module = reference()
            if module is None:
                continue
            for name, own in module._parameters.items():
                if own is parameter:
                    return f"{path}.{name}"
        return ""


def watch_modules(places: Places) -> Callable[[], None]:
    """Follows every module's call from now on; returns what ends it."""
    original = torch.nn.Module.__call__
    is_traced = torch.compiler.is_dynamo_compiling

    def __call__(self: torch.nn.Module, *arguments: Any, **keywords: Any) -> Any:  # noqa: N807
        if is_traced():
            return original(self, *arguments, **keywords)
        places.enter(self)
        try:
            return original(self, *arguments, **keywords)
        finally:
            places.leave()

    torch.nn.Module.__call__ = __call__  # type: ignore[method-assign]

    def stop() -> None:
        torch.nn.Module.__call__ = original  # type: ignore[method-assign]

    return stop
