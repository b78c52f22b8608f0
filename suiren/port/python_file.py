"""The ties of one Python file: a walk that knows what stands behind a question."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from suiren.port import branches, calls, formats, guards, libraries, outside, texts
from suiren.port.finding import Finding, Span
from suiren.port.kinds import TIES
from suiren.port.names import Names
from suiren.port.parsed import Parsed, lines_of
from suiren.port.sight import Hit, Hits, Sight, devices_of, has_own_cuda

Topic = Callable[[ast.AST, Sight], Hits]
_TOPICS: tuple[tuple[Topic, tuple[type[ast.AST], ...]], ...] = (
    (libraries.look_at_imports, (ast.Import, ast.ImportFrom, ast.Call)),
    (libraries.look_at_kernels, (ast.FunctionDef, ast.Call)),
    (libraries.look_at_options, (ast.Call, ast.Constant)),
    (calls.look_at_names, (ast.Name, ast.Attribute)),
    (calls.look_at_type_texts, (ast.Constant,)),
    (calls.look_at_methods, (ast.Attribute, ast.Call)),
    (calls.look_at_compile, (ast.Call,)),
    (calls.look_at_parallel, (ast.Call,)),
    (texts.look_at_texts, (ast.Constant, ast.JoinedStr)),
    (texts.look_at_ordinals, (ast.Call,)),
    (outside.look_at_environment, (ast.Constant,)),
    (outside.look_at_tools, (ast.Call,)),
    (outside.look_at_backends, (ast.Constant,)),
    (branches.look_at_requirements, (ast.Assert, ast.If)),
    (branches.look_at_branches, (ast.If,)),
    (formats.look_at_float64, (ast.Call, ast.Name, ast.Attribute)),
    (formats.look_at_int64, (ast.BinOp,)),
)
_BY_TYPE: dict[type[ast.AST], list[Topic]] = {}
for _topic, _types in _TOPICS:
    for _type in _types:
        _BY_TYPE.setdefault(_type, []).append(_topic)
_PASSES = ("forward", "training_step", "train_step", "step", "loss", "compute_loss", "__call__")
_IMPORTS = (ast.Import, ast.ImportFrom)


def find_in_python(source: str, path: Path) -> list[Finding]:
    """Every tie of a file's text, guarded ones included, in order of place.

    Raises SyntaxError or ValueError for text that is no Python 3.
    """
    parsed = Parsed(source)
    walk = _Walk(parsed)
    walk.block(parsed.tree.body)
    lines = lines_of(source)
    hits = [*walk.hits, *_idle_imports(parsed, walk)]
    found = {(f.span, f.tie.name): f for f in (_finding(h, path, lines) for h in reversed(hits))}
    return sorted(found.values(), key=lambda f: (f.span.line, f.span.column, f.tie.name))


def _finding(hit: Hit, path: Path, lines: list[str]) -> Finding:
    node = hit.node
    span = Span(
        node.lineno,  # type: ignore[attr-defined]
        _column(lines, node.lineno, node.col_offset),  # type: ignore[attr-defined]
        node.end_lineno,  # type: ignore[attr-defined]
        _column(lines, node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
    )
    source = lines[span.line - 1].strip() if span.line <= len(lines) else ""
    return Finding(TIES[hit.tie], path, span, source, hit.action, hit.guard)


def _column(lines: list[str], line: int, offset_bytes: int) -> int:
    """Characters before a place; `ast` counts bytes."""
    text = lines[line - 1] if line <= len(lines) else ""
    if text.isascii():
        return offset_bytes
    return len(text.encode()[:offset_bytes].decode(errors="replace"))


class _Walk:
    """Visits every node with what guards it."""

    def __init__(self, parsed: Parsed) -> None:
        names = Names(parsed)
        self.sight = Sight(parsed, names, guards.Guards(parsed, names), [parsed.tree])
        self.sight.devices = devices_of(parsed, names)
        self.sight.own_cuda = has_own_cuda(parsed)
        self.hits: list[Hit] = []
        self.reasons: list[str] = []
        self.import_reasons: list[str] = []
        self.optional: set[str] = set()
        """Names bound by imports that may fail."""

    # ---- blocks and statements

    def block(self, body: list[ast.stmt]) -> None:
        """Statements in order; one that leaves where CUDA is absent guards those after it."""
        before = len(self.reasons)
        for statement in body:
            self.node(statement)
            if self._guards_the_rest(statement):
                self.reasons.append(f"what lacks it leaves on line {statement.lineno}")
        del self.reasons[before:]

    def _guards_the_rest(self, statement: ast.stmt) -> bool:
        if self.sight.guards.module_skips(statement):
            return True
        return (
            isinstance(statement, ast.If)
            and guards.leaves(statement.body)
            and not guards.stops(statement.body)
            and self.sight.guards.guard(statement.test)[1]
        )

    def node(self, node: ast.AST) -> None:
        """A node and all inside it."""
        self._look(node)
        self.sight.parents.append(node)
        visit = getattr(self, f"_{type(node).__name__}", self._children)
        visit(node)
        self.sight.parents.pop()

    def _look(self, node: ast.AST) -> None:
        for topic in _BY_TYPE.get(type(node), ()):
            for hit in topic(node, self.sight):
                reasons = self.reasons
                if isinstance(node, _IMPORTS):
                    reasons = [*self.reasons, *self.import_reasons]
                guard = hit.guard or (reasons[-1] if reasons else "") or self._optional_use(node)
                if guard and isinstance(node, _IMPORTS):
                    self.optional |= {a.asname or a.name.partition(".")[0] for a in node.names}
                self.hits.append(hit._replace(guard=guard))

    def _optional_use(self, node: ast.AST) -> str:
        if not self.optional or isinstance(node, _IMPORTS):
            return ""
        parts = node.decorator_list if isinstance(node, ast.FunctionDef) else [node]
        used = {n.id for p in parts for n in ast.walk(p) if isinstance(n, ast.Name)}
        return "its import may fail" if used & self.optional else ""

    def _children(self, node: ast.AST) -> None:
        for name in node._fields:
            if name in ("annotation", "returns", "ctx", "op", "ops"):
                continue
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                self.node(value)
            elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                self.block(value)
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, ast.AST):
                        self.node(item)

    @contextmanager
    def _guarded(self, reason: str, really: bool = True) -> Iterator[None]:
        if really:
            self.reasons.append(reason)
        yield
        if really:
            self.reasons.pop()

    def _test(self, test: ast.expr) -> None:
        self.sight.in_test += 1
        self.node(test)
        self.sight.in_test -= 1

    def _If(self, node: ast.If) -> None:  # noqa: N802 - the node's name
        yes, no = self.sight.guards.guard(node.test)
        reason = f"asked for on line {node.lineno}"
        self._test(node.test)
        with self._guarded(reason, yes or _is_for_types(node.test)):
            self.block(node.body)
        with self._guarded(reason, no):
            self.block(node.orelse)

    def _IfExp(self, node: ast.IfExp) -> None:  # noqa: N802
        yes, no = self.sight.guards.guard(node.test)
        self._test(node.test)
        with self._guarded(f"asked for on line {node.lineno}", yes):
            self.node(node.body)
        with self._guarded(f"asked for on line {node.lineno}", no):
            self.node(node.orelse)

    def _BoolOp(self, node: ast.BoolOp) -> None:  # noqa: N802
        before = len(self.reasons)
        for value in node.values:
            self.node(value)
            yes, no = self.sight.guards.guard(value)
            if yes if isinstance(node.op, ast.And) else no:
                self.reasons.append(f"asked for on line {node.lineno}")
        del self.reasons[before:]

    def _Assert(self, node: ast.Assert) -> None:  # noqa: N802
        self._test(node.test)

    def _Compare(self, node: ast.Compare) -> None:  # noqa: N802
        is_question = self.sight.guards.guard(node) != guards.NO_GUARD
        self.sight.in_test += is_question
        self._children(node)
        self.sight.in_test -= is_question

    def _While(self, node: ast.While) -> None:  # noqa: N802
        self._hot(node)

    def _For(self, node: ast.For) -> None:  # noqa: N802
        self._hot(node)

    def _hot(self, node: ast.AST) -> None:
        self.sight.hot += 1
        self._children(node)
        self.sight.hot -= 1

    def _Try(self, node: ast.Try) -> None:  # noqa: N802
        optional = guards.catches_import(node)
        if optional:
            self.import_reasons.append(f"may fail: the error is caught on line {node.lineno}")
        with self._guarded("the error is caught", guards.catches_use(node)):
            self.block(node.body)
        if optional:
            self.import_reasons.pop()
        imports = any(isinstance(s, _IMPORTS) for s in node.body)
        with self._guarded("its import may fail", optional and imports):
            self.block(node.orelse)
        for handler in node.handlers:
            self.node(handler)
        self.block(node.finalbody)

    def _FunctionDef(self, node: ast.FunctionDef) -> None:  # noqa: N802
        for decorator in node.decorator_list:
            self._test(decorator)
        self.node(node.args)
        hot, self.sight.hot = self.sight.hot, int(node.name in _PASSES)
        with self._guarded(
            "skipped where it cannot run", self.sight.guards.skips(node.decorator_list)
        ):
            self.block(node.body)
        self.sight.hot = hot

    _AsyncFunctionDef = _FunctionDef

    def _ClassDef(self, node: ast.ClassDef) -> None:  # noqa: N802
        with self._guarded(
            "skipped where it cannot run", self.sight.guards.skips(node.decorator_list)
        ):
            self._children(node)


def _is_for_types(test: ast.expr) -> bool:
    return isinstance(test, (ast.Name, ast.Attribute)) and "TYPE_CHECKING" in ast.dump(test)


def _idle_imports(parsed: Parsed, walk: _Walk) -> Iterator[Hit]:
    """Imports of names that only `torch.cuda` has: a tie where they are used, or idle."""
    names = walk.sight.names
    by_name: dict[str, list[Hit]] = {}
    for hit in walk.hits:
        for node in ast.walk(hit.node):
            if isinstance(node, ast.Name) and node.id in names.bound:
                by_name.setdefault(node.id, []).append(hit)
    loaded = {n.id for n in parsed.all(ast.Name)}
    for node in parsed.all(ast.ImportFrom):
        if not (node.module or "").startswith("torch.cuda"):
            continue
        bound = [a.asname or a.name for a in node.names]
        uses = [h for name in bound for h in by_name.get(name, []) if not h.guard]
        if uses:
            yield Hit(uses[0].tie, node, "import" if all(h.action for h in uses) else "")
        elif not loaded & set(bound) and any(a.name[0] != "_" for a in node.names):
            yield Hit("cuda-import", node)
