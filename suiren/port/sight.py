"""What a topic sees of a Python file: a node, what stands around it, what the file's names mean."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from suiren.port.guards import Guards
from suiren.port.names import Names, last_word, written
from suiren.port.parsed import Parsed

DEVICE_WORDS = ("device", "map_location", "devices", "device_type", "torch_device", "dev")


class Hit(NamedTuple):
    """A tie seen at a node."""

    tie: str
    node: ast.AST
    action: str = ""
    guard: str = ""


@dataclass
class Sight:
    """The place in the file where the walk stands."""

    parsed: Parsed
    names: Names
    guards: Guards
    parents: list[ast.AST] = field(default_factory=list)
    in_test: int = 0
    """Inside a question: a condition, a comparison asked of a device."""
    hot: int = 0
    """Inside loops or a forward pass."""
    devices: frozenset[str] = frozenset()
    """Names that are handed on as devices."""
    own_cuda: bool = False
    """The file's own classes have a method `cuda`."""

    @property
    def parent(self) -> ast.AST:
        """What the node stands in."""
        return self.parents[-1]

    def is_called(self, node: ast.AST) -> bool:
        """Whether the node is the function of a call."""
        return isinstance(self.parent, ast.Call) and self.parent.func is node

    def call_around(self, node: ast.AST) -> ast.Call | None:
        """The call that has the node as an argument, through lists and keywords."""
        child = node
        for parent in reversed(self.parents):
            if isinstance(parent, ast.Call):
                return parent if child is not parent.func else None
            if not isinstance(parent, (ast.keyword, ast.List, ast.Tuple, ast.JoinedStr, ast.BinOp)):
                return None
            child = parent
        return None

    def function_name(self) -> str:
        """The innermost function's name."""
        for parent in reversed(self.parents):
            if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)):
                return parent.name
        return ""


def devices_of(parsed: Parsed, names: Names) -> frozenset[str]:
    """Names that are handed on as devices: `.to(x)`, `device=x`, `torch.device(x)`."""
    found = set()
    for node in parsed.all(ast.Call):
        takes = names.full(node.func) in ("torch.device", "torch.autocast", "torch.amp.autocast")
        if node.args and (takes or last_word(node.func) in ("to", "cuda")):
            found.add(written(node.args[0]))
        found |= {written(k.value) for k in node.keywords if k.arg in DEVICE_WORDS}
    return frozenset(found - {""})


def has_own_cuda(parsed: Parsed) -> bool:
    """Whether a class of the file defines `cuda`: its objects need not have `to`."""
    return any(
        isinstance(inner, ast.FunctionDef) and inner.name == "cuda"
        for node in parsed.all(ast.ClassDef)
        for inner in node.body
    )


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def is_true(node: ast.AST | None) -> bool:
    """Whether an expression is the literal True."""
    return isinstance(node, ast.Constant) and node.value is True


Hits = Iterator[Hit]
