"""What a name in a Python file stands for: imports and aliases of modules followed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from suiren.port.parsed import Parsed

#: Modules that code keeps under a short name; uses of the short name are what is told.
MODULES = frozenset(
    """torch torch.cuda torch.cuda.amp torch.cuda.nvtx torch.cuda.random torch.cuda.memory
torch.backends torch.backends.cuda torch.backends.cudnn torch.amp torch.distributed torch.nn
torch.version torch._inductor torch._inductor.config""".split()
)
#: Names that PyTorch exports under several paths.
_SAME = {
    "torch.amp.autocast_mode.autocast": "torch.amp.autocast",
    "torch.cuda.amp.autocast_mode.autocast": "torch.cuda.amp.autocast",
    "torch.cuda.amp.grad_scaler.GradScaler": "torch.cuda.amp.GradScaler",
    "torch.amp.grad_scaler.GradScaler": "torch.amp.GradScaler",
    "torch.cuda.amp.autocast_mode.custom_fwd": "torch.cuda.amp.custom_fwd",
    "torch.cuda.amp.autocast_mode.custom_bwd": "torch.cuda.amp.custom_bwd",
    "torch.serialization.load": "torch.load",
}
_SAME_PARTS = ("torch.cuda.memory.", "torch.cuda.random.", "torch.cuda.streams.")


class Names:
    """Names bound by imports anywhere in a file, and short names of PyTorch's modules."""

    def __init__(self, parsed: Parsed) -> None:
        self.bound: dict[str, str] = {}
        for plain in parsed.all(ast.Import):
            for name in plain.names:
                first = name.name.partition(".")[0]
                self.bound[name.asname or first] = name.name if name.asname else first
        for node in parsed.all(ast.ImportFrom):
            if node.module and not node.level:
                for name in node.names:
                    self.bound[name.asname or name.name] = f"{node.module}.{name.name}"
        for given in parsed.all(ast.Assign):
            target, full = given.targets[0], self.full(given.value)
            if isinstance(target, ast.Name) and full in MODULES:
                self.bound.setdefault(target.id, full)

    def full(self, node: ast.AST) -> str:
        """The dotted name that an expression stands for; empty for anything else."""
        text = self._dotted(node)
        if text.startswith("torch."):
            for part in _SAME_PARTS:
                rest = text.removeprefix(part)
                if rest != text and not rest.startswith("_"):
                    text = f"torch.cuda.{rest}"
        return _SAME.get(text, text)

    def _dotted(self, node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            return self.bound.get(node.id, "")
        if isinstance(node, ast.Attribute):
            before = self._dotted(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""


def written(node: ast.AST) -> str:
    """An expression of names and dots as it is written; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = written(node.value)
        return f"{before}.{node.attr}" if before else f".{node.attr}"
    return ""


def last_word(node: ast.AST) -> str:
    """The last part of a dotted name: `f` of `a.b.f`."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def text_of(node: ast.AST) -> str:
    """A string literal's text; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ""


def targets_of(node: ast.AST) -> Iterator[ast.expr]:
    """What an assignment binds, tuples taken apart."""
    if isinstance(node, ast.Assign):
        todo: list[ast.expr] = list(node.targets)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
        todo = [node.target]
    else:
        return
    while todo:
        target = todo.pop()
        if isinstance(target, (ast.Tuple, ast.List)):
            todo.extend(target.elts)
        else:
            yield target
