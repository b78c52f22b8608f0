"""Strings and numbers that name a CUDA device: which of them choose a device, which only say it."""

from __future__ import annotations

import ast
import re

from suiren.port.names import last_word, targets_of, text_of, written
from suiren.port.sight import Hit, Hits, Sight

_CUDA = re.compile(r"cuda(:(\d*|%[ds]|\{\w*\}))?$")
_OTHER = re.compile(r"(cpu|mps|xpu|hpu|npu|tpu|xla|gcu|musa|mlu|meta|auto)(:\d+)?$")
_DEVICE_NAME = re.compile(r"device|(^|_)dev(_|$)|map_location|accelerator|(^|_)location$", re.I)
_DEFAULTS = "add_argument option Option Field field Argument attrib ib".split()
_GETTERS = "get getattr setdefault getenv pop DEFINE_string DEFINE_enum add_argument env".split()
_TAKES_DEVICE = frozenset(
    """torch.device torch.Generator torch.autocast torch.amp.autocast torch.amp.GradScaler
torch.set_default_device torch.Stream torch.Event torch.get_device_module torch.load
torch.distributed.device_mesh.init_device_mesh torch.get_autocast_dtype""".split()
)
#: Functions whose text arguments are words, not devices.
_WORDS = re.compile(
    r"print|log|debug|info|warn|error|format|write|regist|parametrize|append|add|insert|remove|"
    r"index|count|find|split|replace|startswith|endswith|join|strip|match|search|sub|hasattr|"
    r"isinstance|skip|require|impl|has_|is_|check|available|support|import|backend|choice|"
    r"dispatch|equal|expect|assert|title|label|legend|section|mark|render|in_|raises|"
    r"^param$|[eE]rror$|Exception$|Literal|extend|update|contains|open|Path|exists|getattr|get|pop|system",
)
_ORDINAL = re.compile(r"(^|_)(rank|gpu|gpu_id|gpu_idx|gpu_index|device_id|device_index|dev_id)$")


def look_at_texts(node: ast.AST, sight: Sight) -> Hits:
    """Device names in strings and f-strings."""
    if isinstance(node, ast.JoinedStr):
        first = text_of(node.values[0]) if node.values else ""
        if not (first == "cuda:" and len(node.values) == 2):
            return
    elif not _CUDA.match(text_of(node)) or isinstance(sight.parent, ast.JoinedStr):
        return
    chosen, guard = _role(node, sight)
    if chosen:
        yield Hit("device-text", node, "text", guard)


def _role(node: ast.AST, sight: Sight) -> tuple[bool, str]:
    """(whether the text chooses a device, why that is harmless)."""
    child, guard, in_map = node, "", False
    for depth in range(len(sight.parents) - 1, -1, -1):
        parent = sight.parents[depth]
        if isinstance(parent, ast.IfExp):
            if child is parent.test:
                return False, ""
            if child is parent.body and not _is_cuda(parent.orelse):
                guard = "the other choice is not CUDA"
        elif isinstance(parent, (ast.List, ast.Tuple, ast.Set)):
            if any(_OTHER.match(text_of(e)) for e in parent.elts):
                return False, ""
            if any(sight.guards.guard(e)[0] for e in parent.elts):
                return False, ""
        elif isinstance(parent, ast.Dict):
            if any(child is key for key in parent.keys):
                return False, ""
            key = parent.keys[[id(v) for v in parent.values].index(id(child))]
            if key is not None and _DEVICE_NAME.search(text_of(key)):
                return True, guard
            in_map = True
        elif isinstance(parent, ast.Attribute):
            if parent.attr != "format":
                return False, ""
        elif isinstance(parent, ast.Call):
            if child is not parent.func:
                return _as_argument(child, parent, sight, depth) and not in_map, guard
        elif isinstance(parent, ast.keyword):
            around = sight.parents[depth - 1]
            taken = isinstance(around, ast.Call) and _as_keyword(parent, around, in_map, sight)
            return taken, guard
        elif not isinstance(parent, (ast.BoolOp, ast.BinOp, ast.Starred, ast.NamedExpr)):
            return _in_statement(parent, sight, depth) and not in_map, guard
        child = parent
    return False, ""


def _is_cuda(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and node.args:
        return _is_cuda(node.args[0])
    if isinstance(node, ast.JoinedStr):
        return bool(node.values) and text_of(node.values[0]).startswith("cuda")
    return bool(_CUDA.match(text_of(node)))


def _as_keyword(word: ast.keyword, call: ast.Call, in_map: bool, sight: Sight) -> bool:
    name = word.arg or ""
    if in_map:
        return name in ("map_location", "device_map", "devices", "max_memory")
    if sight.names.full(call.func) in _TAKES_DEVICE:
        return True
    if name in ("default", "default_value", "fallback"):
        return last_word(call.func) in _DEFAULTS or bool(_DEVICE_NAME.search(ast.dump(call)))
    return bool(_DEVICE_NAME.search(name))


def _as_argument(child: ast.AST, call: ast.Call, sight: Sight, depth: int) -> bool:
    last = last_word(call.func)
    if isinstance(sight.parents[depth - 1], ast.Compare) and last == "device":
        return False
    if sight.names.full(call.func) in _TAKES_DEVICE or last in ("to", "cuda", "to_empty"):
        return True
    if last in _GETTERS and call.args:
        before = call.args[: next(i for i, a in enumerate(call.args) if a is child)]
        return any(_DEVICE_NAME.search(text_of(a)) for a in before)
    if depth and child in getattr(sight.parents[depth - 1], "decorator_list", []):
        return False
    return not _WORDS.search(last) and not (isinstance(call.func, ast.Name) and last in ("set",))


def _in_statement(parent: ast.AST, sight: Sight, depth: int) -> bool:
    if isinstance(parent, ast.arguments):
        return True
    if isinstance(parent, (ast.Assign, ast.AnnAssign)):
        return any(_is_device_target(t, sight) for t in targets_of(parent))
    if isinstance(parent, ast.Return):
        return bool(_DEVICE_NAME.search(sight.function_name()))
    return isinstance(parent, ast.For) and _is_device_target(parent.target, sight)


def _is_device_target(target: ast.expr, sight: Sight) -> bool:
    if isinstance(target, ast.Subscript):
        return bool(_DEVICE_NAME.search(text_of(target.slice)))
    word = written(target)
    return word in sight.devices or bool(_DEVICE_NAME.search(last_word(target)))


# ---- numbers


def look_at_ordinals(node: ast.AST, sight: Sight) -> Hits:
    """`.to(0)`, `device=local_rank`, `torch.device(rank)`: a bare number means an accelerator."""
    if not isinstance(node, ast.Call):
        return
    if last_word(node.func) == "cuda":
        return
    candidates = [k.value for k in node.keywords if k.arg in ("device", "map_location")]
    for word in node.keywords:
        if word.arg == "device_map" and isinstance(word.value, ast.Dict):
            candidates += word.value.values
    if last_word(node.func) == "to" or sight.names.full(node.func) == "torch.device":
        candidates += node.args[:1]
    for value in candidates:
        if is_ordinal(value, sight):
            yield Hit("device-ordinal", value, "ordinal")


def is_ordinal(node: ast.expr, sight: Sight) -> bool:
    """Whether an expression is a device's number, by its form or its name."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 0
    if isinstance(node, ast.Call) and last_word(node.func) == "int":
        return "RANK" in ast.dump(node)
    if sight.names.full(getattr(node, "func", node)) == "torch.distributed.get_rank":
        return True
    return bool(_ORDINAL.search(last_word(node).lower())) and written(node) not in _chosen(sight)


def _chosen(sight: Sight) -> set[str]:
    """Names that the file sets to a device rather than to a number."""
    found = sight.parsed.chosen
    if found is None:
        found = sight.parsed.chosen = set()
        for node in sight.parsed.all(ast.Assign, ast.AnnAssign):
            value = getattr(node, "value", None)
            text = ast.dump(value) if value is not None else ""
            if "'device'" in text or re.search(r"value='(cuda|cpu)", text):
                found |= {written(t) for t in targets_of(node)}
    return found
