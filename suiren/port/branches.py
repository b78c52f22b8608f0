"""Code that refuses to run without CUDA, and branches that only CUDA takes."""

from __future__ import annotations

import ast

from suiren.port.guards import Guards, stops
from suiren.port.names import last_word, targets_of, text_of, written
from suiren.port.sight import Hit, Hits, Sight


def look_at_requirements(node: ast.AST, sight: Sight) -> Hits:
    """`assert torch.cuda.is_available()`, `if not …: raise`."""
    if isinstance(node, ast.Assert):
        if sight.guards.guard(node.test)[0]:
            yield from _questions(node.test, sight)
    elif isinstance(node, ast.If) and stops(node.body) and sight.guards.guard(node.test)[1]:
        yield from _questions(node.test, sight)


def _questions(test: ast.expr, sight: Sight) -> Hits:
    for node in ast.walk(test):
        full = sight.names.full(node.func) if isinstance(node, ast.Call) else ""
        if full == "torch.cuda.is_available":
            yield Hit("requires-cuda", node, "available")
        elif full == "torch.cuda.device_count" and isinstance(node, ast.Call):
            yield Hit("requires-cuda", node.func, "count")
        elif isinstance(node, ast.Attribute) and node.attr == "is_cuda":
            yield Hit("requires-cuda", node, "is_cuda")
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            for side in (node.left, node.comparators[0]):
                if text_of(side) == "cuda":
                    exact = isinstance(node.ops[0], (ast.Eq, ast.NotEq))
                    yield Hit("requires-cuda", side, "text" if exact else "")


def look_at_branches(node: ast.AST, sight: Sight) -> Hits:
    """`if device.type == "cuda":` that makes something no other device gets."""
    if not isinstance(node, ast.If) or not _asks_a_device(node.test, sight):
        return
    if stops(node.body) or _has_other_path(node):
        return
    function = next(
        (p for p in reversed(sight.parents) if isinstance(p, (ast.FunctionDef, ast.Module))),
        sight.parents[0],
    )
    before = _bound_before(function, node)
    made = {
        written(t)
        for statement in node.body
        for inner in ast.walk(statement)
        for t in targets_of(inner)
        if isinstance(t, ast.Name)
    }
    used_after = _used_after(function, node, sight.guards)
    if (made - before) & used_after or _ends_the_function(node, function):
        yield Hit("cuda-branch", node.test)


def _asks_a_device(test: ast.expr, sight: Sight) -> bool:
    if isinstance(test, ast.Attribute):
        return test.attr == "is_cuda"
    if isinstance(test, ast.Call):
        return sight.names.full(test.func) == "torch.cuda.is_available"
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], ast.Eq)
        and text_of(test.comparators[0]) == "cuda"
        and sight.guards.guard(test)[0]
    )


def _has_other_path(node: ast.If) -> bool:
    """Whether the chain of branches ends in an `else`."""
    while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node = node.orelse[0]
    return bool(node.orelse)


def _bound_before(function: ast.AST, node: ast.If) -> set[str]:
    found = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    for inner in ast.walk(function):
        if getattr(inner, "lineno", node.lineno) < node.lineno:
            found |= {written(t) for t in targets_of(inner)}
            if isinstance(inner, (ast.For, ast.comprehension)):
                found.add(last_word(inner.target))
    return found


def _used_after(function: ast.AST, node: ast.If, guards: Guards) -> set[str]:
    """Names read outside every branch that asks for CUDA."""
    asking = [
        n for n in ast.walk(function) if isinstance(n, ast.If) and any(guards.guard(n.test))
    ]
    inside = {id(n) for branch in [node, *asking] for part in branch.body for n in ast.walk(part)}
    return {
        n.id
        for n in ast.walk(function)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in inside
    }


def _ends_the_function(node: ast.If, function: ast.AST) -> bool:
    body = getattr(function, "body", [])
    last = node.body[-1]
    returns = isinstance(last, ast.Return) and last.value is not None
    return isinstance(function, ast.FunctionDef) and body[-1] is node and returns
