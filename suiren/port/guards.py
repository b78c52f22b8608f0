"""What is done only where it can work: branches on availability, optional imports, skipped tests.

A condition guards what follows it when it is true, when it is false, or not at all. Code that
asks first runs on any machine, so what stands behind the question is no finding.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from suiren.port.names import Names, last_word, targets_of, text_of, written
from suiren.port.parsed import Parsed

_LIBRARIES = (
    "flash_?attn|flash_attention|flash|apex|xformers|triton|bnb|bitsandbytes|deepspeed|nccl|"
    "transformer_engine|cupy|numba|nvml|pynvml|tensorrt|trt|dali|cuml|cudf|vllm"
)
#: Words of a name that say: this is set where CUDA or a library of its is there.
_SWITCH = re.compile(rf"(^|_)(cuda|gpu|gpus|n_gpu|{_LIBRARIES}|te)(_|$)", re.IGNORECASE)
_ASKING = re.compile(r"(^|_)(is|has|have|can|supports?|use|with|check|should)_|available|installed")
#: Asking these is asking for an accelerator.
_QUESTIONS = frozenset(
    """torch.cuda.is_available torch.accelerator.is_available torch.cuda.device_count
torch.accelerator.device_count torch.backends.cuda.is_built torch.cuda.is_initialized
torch.distributed.is_nccl_available torch.cuda.is_bf16_supported torch.version.cuda
torch.backends.cudnn.is_available torch.cuda.get_device_capability torch.has_cuda
torch.cuda.is_current_stream_capturing torch.cuda.nccl.is_available""".split()
)
_FINDERS = ("find_spec", "find_loader", "importorskip", "package_available")
_SKIPPERS = re.compile(r"(skip|require|requires|need|needs|only|mark\.(gpu|cuda))", re.IGNORECASE)

#: What a condition says about where it is true: (guarded when true, guarded when false).
Guard = tuple[bool, bool]
NO_GUARD: Guard = (False, False)


class Guards:
    """The questions of one file, with the flags that hold their answers."""

    def __init__(self, parsed: Parsed, names: Names) -> None:
        self.names = names
        self.flags: set[str] = set()
        self._find_flags(parsed)
        self._find_optional(parsed)

    def _find_flags(self, parsed: Parsed) -> None:
        for node in parsed.all(ast.Assign, ast.AnnAssign, ast.NamedExpr):
            value = getattr(node, "value", None)
            if value is None:
                continue
            asks = self._asks(value)
            kept = isinstance(value, ast.Constant) and value.value is None
            for target in targets_of(node):
                word = written(target)
                if word and (asks or (kept and word in self.names.bound)):
                    self.flags.add(word)
        for function in parsed.all(ast.FunctionDef):
            last = function.body[-1]
            if isinstance(last, ast.Return) and last.value is not None and self._asks(last.value):
                self.flags.add(function.name)

    def _find_optional(self, parsed: Parsed) -> None:
        """`HAS_FLASH = True` in a try whose handler says False."""
        for node in parsed.all(ast.Try):
            if catches_import(node):
                for handler in node.handlers:
                    for inner in handler.body:
                        for target in targets_of(inner):
                            self.flags.add(written(target))

    def _asks(self, value: ast.expr) -> bool:
        """Whether an expression is the answer to a question: not a device chosen by one."""
        if isinstance(value, ast.IfExp):
            return False
        return self.guard(value)[0]

    def guard(self, test: ast.expr) -> Guard:
        """What a condition guards."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            yes, no = self.guard(test.operand)
            return no, yes
        if isinstance(test, ast.BoolOp):
            parts = [self.guard(value) for value in test.values]
            if isinstance(test.op, ast.And):
                return any(p[0] for p in parts), all(p[1] for p in parts)
            return all(p[0] for p in parts), any(p[1] for p in parts)
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return self._compare(test)
        if isinstance(test, ast.NamedExpr):
            return self.guard(test.value)
        return self._plain(test), False

    def _compare(self, test: ast.Compare) -> Guard:
        left, right, op = test.left, test.comparators[0], test.ops[0]
        if not (self._names_cuda(left) or self._names_cuda(right) or self._plain(left)):
            if isinstance(op, ast.Gt) and self._plain(right):
                return True, False
            return NO_GUARD
        absent = isinstance(right, ast.Constant) and right.value in (None, 0, -1, False, "")
        if isinstance(op, (ast.NotEq, ast.NotIn, ast.IsNot)):
            return (True, False) if absent else (False, True)
        if isinstance(op, (ast.Eq, ast.Is)) and absent:
            return False, True
        if isinstance(op, (ast.Lt, ast.LtE)):
            return False, True
        return True, False

    def _names_cuda(self, node: ast.expr) -> bool:
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return any(self._names_cuda(e) for e in node.elts)
        if isinstance(node, ast.Call) and node.args and last_word(node.func) == "device":
            return self._names_cuda(node.args[0])
        return bool(re.match(r"(cuda|nccl)(:|$)", text_of(node)))

    def _plain(self, node: ast.expr) -> bool:
        """Whether an expression without operators says that CUDA or a library is there."""
        if isinstance(node, ast.Subscript):
            return self._plain(node.value) or bool(_SWITCH.search(text_of(node.slice)))
        if isinstance(node, ast.Call):
            return self._call_asks(node)
        full = self.names.full(node)
        if full in _QUESTIONS:
            return True
        word, last = written(node), last_word(node)
        return word in self.flags or last == "is_cuda" or bool(_SWITCH.search(last))

    def _call_asks(self, node: ast.Call) -> bool:
        full, last = self.names.full(node.func), last_word(node.func)
        if full in _QUESTIONS or written(node.func) in self.flags:
            return True
        if last in _FINDERS:
            return True
        if last in ("bool", "int", "any", "all", "len") and node.args:
            return self._plain(node.args[0]) or self.guard(node.args[0])[0]
        if last in ("startswith", "is_type", "getattr", "hasattr", "get"):
            return any(_SWITCH.search(text_of(a)) for a in node.args)
        return bool(_ASKING.search(last) and (_SWITCH.search(last) or "available" in last))

    # ---- whole statements

    def skips(self, decorators: Iterable[ast.expr]) -> bool:
        """Whether decorators keep a function from running without what it needs."""
        return any(self._skipper(d) for d in decorators)

    def _skipper(self, node: ast.expr) -> bool:
        call = node.func if isinstance(node, ast.Call) else node
        word = written(call)
        if not _SKIPPERS.search(word):
            return False
        if _SWITCH.search(word.replace(".", "_")) or "gpu" in word.lower():
            return True
        asked = node.args if isinstance(node, ast.Call) else []
        return any(guarded for a in asked for guarded in self.guard(a))

    def module_skips(self, node: ast.stmt) -> bool:
        """`pytest.importorskip("triton")` or `pytestmark = pytest.mark.skipif(…)`."""
        value = getattr(node, "value", None)
        if not isinstance(value, ast.Call):
            return False
        if last_word(value.func) == "importorskip":
            return bool(value.args) and bool(_SWITCH.search(text_of(value.args[0])))
        return any(written(t) == "pytestmark" for t in targets_of(node)) and self._skipper(value)


_BROAD = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "OSError"}
_RUNTIME = {"RuntimeError", "AssertionError", "AttributeError", "Exception", "BaseException"}


def _caught(node: ast.Try) -> set[str]:
    """Names of errors that handlers catch and do not raise again."""
    found: set[str] = set()
    for handler in node.handlers:
        if _only_stops(handler.body):
            continue
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        found |= {"Exception" if kind is None else last_word(kind) for kind in kinds}
    return found


def _only_stops(body: list[ast.stmt]) -> bool:
    return stops(body) and not any(isinstance(s, (ast.Return, ast.Continue)) for s in body)


def catches_import(node: ast.Try) -> bool:
    """Whether an import that fails inside leaves another path."""
    return bool(_caught(node) & _BROAD)


def catches_use(node: ast.Try) -> bool:
    """Whether a short attempt inside leaves another path when it fails."""
    return len(node.body) <= 3 and bool(_caught(node) & _RUNTIME)


def stops(body: list[ast.stmt]) -> bool:
    """Whether a block ends by raising or by leaving the program, not by a skip or a return."""
    last = body[-1]
    if isinstance(last, ast.Raise):
        return "Skip" not in ast.dump(last)
    return (
        isinstance(last, ast.Expr)
        and isinstance(last.value, ast.Call)
        and written(last.value.func) in ("sys.exit", "exit", "quit", "os._exit")
    )


def leaves(body: list[ast.stmt]) -> bool:
    """Whether nothing after a block runs once it has run."""
    last = body[-1]
    if isinstance(last, (ast.Return, ast.Raise, ast.Continue, ast.Break)):
        return True
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        word = written(last.value.func)
        return word in ("sys.exit", "exit", "quit") or word.rpartition(".")[2] in (
            "skip", "skipTest", "fail",
        )  # fmt: skip
    return False
