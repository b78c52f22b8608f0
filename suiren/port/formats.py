"""64-bit floats anywhere, 64-bit integers where they are computed with."""

from __future__ import annotations

import ast

from suiren.port.names import last_word, targets_of, text_of, written
from suiren.port.sight import Hit, Hits, Sight, keyword

_FLOAT64 = ("torch.float64", "torch.double")
_INT64 = ("torch.int64", "torch.long")
_MAKERS = """zeros ones empty full eye linspace random.rand random.randn random.random
random.uniform random.normal random.standard_normal random.random_sample identity""".split()
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift)


def look_at_float64(node: ast.AST, sight: Sight) -> Hits:
    """`.double()`, `dtype=torch.float64` and NumPy's default carried into a tensor."""
    if isinstance(node, ast.Call):
        if last_word(node.func) == "double" and not node.args and not node.keywords:
            if isinstance(node.func, ast.Attribute) and not _is_on_host(node.func, sight):
                yield Hit("float64", node)
        elif sight.names.full(node.func) in ("torch.DoubleTensor",):
            yield Hit("float64", node)
        else:
            yield from _from_numpy(node, sight)
    elif isinstance(node, (ast.Name, ast.Attribute)) and sight.names.full(node) in _FLOAT64:
        call = sight.call_around(node)
        if call is not None and _sets_format(node, call, sight):
            yield Hit("float64", node)


def _is_on_host(func: ast.Attribute, sight: Sight) -> bool:
    """`x.cpu().double()`, or a function called double."""
    owner = func.value
    if sight.names.full(func) or (isinstance(owner, ast.Name) and owner.id == "self"):
        return True
    return isinstance(owner, ast.Call) and last_word(owner.func) == "cpu"


def _sets_format(node: ast.AST, call: ast.Call, sight: Sight) -> bool:
    if text_of(keyword(call, "device") or call) == "cpu":
        return False
    last = last_word(call.func)
    if isinstance(sight.parent, ast.keyword):
        return sight.parent.arg in ("dtype", "torch_dtype")
    return sight.parent is call and last in ("to", "type", "set_default_dtype", "astype", "view")


def _from_numpy(node: ast.Call, sight: Sight) -> Hits:
    if sight.names.full(node.func) not in (
        "torch.from_numpy", "torch.tensor", "torch.as_tensor",
    ):  # fmt: skip
        return
    if keyword(node, "dtype") is not None or not node.args or _is_narrowed(node, sight):
        return
    if _is_float64_array(node.args[0], sight):
        yield Hit("numpy-float64", node)


def _is_narrowed(node: ast.Call, sight: Sight) -> bool:
    """`.float()`, `.to(torch.float32)`, `.long()` right behind it."""
    if isinstance(sight.parent, ast.Attribute):
        return sight.parent.attr in ("float", "to", "type", "half", "bfloat16", "long", "int")
    return False


def _is_float64_array(node: ast.expr, sight: Sight) -> bool:
    if isinstance(node, ast.Name):
        values = _assigned(sight).get(node.id, [])
        return len(values) == 1 and _is_float64_array(values[0], sight)
    if not isinstance(node, ast.Call) or keyword(node, "dtype") is not None:
        return False
    full = sight.names.full(node.func)
    if last_word(node.func) == "astype" and node.args:
        kind = sight.names.full(node.args[0]) or text_of(node.args[0]) or written(node.args[0])
        return kind in ("numpy.float64", "float64", "float", "numpy.double")
    if full.removeprefix("numpy.") not in _MAKERS or not full.startswith("numpy."):
        return False
    limit = {"numpy.full": 2, "numpy.linspace": 3}.get(full, 99 if "random" in full else 1)
    return len(node.args) <= limit


def _assigned(sight: Sight) -> dict[str, list[ast.expr]]:
    found = sight.parsed.assigned
    if not found:
        for node in sight.parsed.all(ast.Assign, ast.AnnAssign, ast.AugAssign):
            value = getattr(node, "value", None)
            if value is not None:
                for target in targets_of(node):
                    found.setdefault(written(target), []).append(value)
    return found


def look_at_int64(node: ast.AST, sight: Sight) -> Hits:
    """Arithmetic on tensors made 64-bit integers, in loops and forward passes."""
    if not sight.hot or not isinstance(node, ast.BinOp) or not isinstance(node.op, _ARITHMETIC):
        return
    if isinstance(sight.parent, (ast.BinOp, ast.Subscript)):
        return
    if any(_is_int64(side, sight) for side in _operands(node)):
        yield Hit("int64-arithmetic", node)


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [*_operands(node.left), *_operands(node.right)]
    return [node]


def _is_int64(node: ast.expr, sight: Sight) -> bool:
    if isinstance(node, ast.Name):
        values = _assigned(sight).get(node.id, [])
        return len(values) == 1 and isinstance(values[0], ast.Call) and _is_int64(values[0], sight)
    if not isinstance(node, ast.Call):
        return False
    if last_word(node.func) == "long" and not node.args:
        return True
    if sight.names.full(node.func) == "torch.LongTensor":
        return True
    given = [keyword(node, "dtype")]
    if last_word(node.func) in ("to", "type"):
        given += node.args
    return any(g is not None and sight.names.full(g) in _INT64 for g in given)
