"""Rewrites the places of one Python file that findings name, leaving all else as it was."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from suiren.port.finding import Finding, Span
from suiren.port.head import with_head
from suiren.port.templates import STATEMENTS, Writer

_DEVICE_NAMES = ("DEVICE", "DEVICE_TYPE", "ACCELERATOR", "ACCELERATOR_TYPE", "DEVICE_TYPE_FOUND")
_EVENT_NAMES = ("DeviceEvent", "AcceleratorEvent", "TimingEvent")


def rewritten(source: str, findings: Sequence[Finding]) -> str:
    """The file's text with the findings rewritten; the same text where there is nothing to do."""
    edits = {f.span: f.action for f in findings if f.action and not f.guard}
    if not edits:
        return source
    writer = Writer(_torch_of(source), _device_of(source), _event_of(source))
    wrapper = MetadataWrapper(cst.parse_module(source))
    change = _Change(edits, writer, wrapper.module)
    module = wrapper.visit(change)
    if not change.done:
        return source
    text = module.code
    lines = {span.line for span in change.done}
    if "import" in edits.values():
        text = _without_idle(text, source)
    before = _shift(source, text, min(lines))
    return with_head(text, writer, before)


def _shift(source: str, text: str, line: int) -> int:
    """A line of the old text, in the new one, whose head may have lost lines."""
    return max(1, line + min(0, text.count("\n") - source.count("\n")))


def _free(source: str, candidates: Iterable[str]) -> str:
    for name in candidates:
        if not re.search(rf"\b{name}\b", source):
            return name
    return "SUIREN_DEVICE"


def _device_of(source: str) -> str:
    """The constant of an earlier patch, or a name that the file does not use."""
    match = re.search(
        r"^(\w+) = \w+\.accelerator\.current_accelerator\(\)\.type if", source, re.MULTILINE
    )
    return match[1] if match else _free(source, _DEVICE_NAMES)


def _event_of(source: str) -> str:
    match = re.search(r"^class (\w+):\n    \"\"\"`torch\.Event` where", source, re.MULTILINE)
    return match[1] if match else _free(source, _EVENT_NAMES)


def _torch_of(source: str) -> str:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name == "torch":
                    return name.asname or "torch"
    return "torch"


class _Change(cst.CSTTransformer):
    """Replaces expressions by place."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, edits: dict[Span, str], writer: Writer, module: cst.Module) -> None:
        super().__init__()
        self.edits = edits
        self.writer = writer
        writer.code = module.code_for_node
        self.done: set[Span] = set()
        self._quotes: list[str] = []

    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]:
        node = super().on_leave(original_node, updated_node)
        if not isinstance(original_node, cst.BaseExpression) or not isinstance(
            node, cst.BaseExpression
        ):
            return node
        span = self._span(original_node)
        action = self.edits.get(span, "")
        if not action or action == "import":
            return node
        self.done.add(span)
        if span in self._alone:
            return node
        return self.writer.rewrite(action, node)  # type: ignore[return-value]

    def visit_FormattedStringExpression(  # noqa: N802
        self, node: cst.FormattedStringExpression
    ) -> None:
        self.writer.around.append(self._quotes[-1])

    def leave_FormattedStringExpression(  # noqa: N802
        self,
        original_node: cst.FormattedStringExpression,
        updated_node: cst.FormattedStringExpression,
    ) -> cst.FormattedStringExpression:
        self.writer.around.pop()
        return updated_node

    def visit_FormattedString(self, node: cst.FormattedString) -> None:  # noqa: N802
        self._quotes.append(node.end)

    def leave_FormattedString(  # noqa: N802
        self, original_node: cst.FormattedString, updated_node: cst.FormattedString
    ) -> cst.FormattedString:
        self._quotes.pop()
        return updated_node

    def _bare(self, original: cst.BaseExpression | None, new: cst.CSTNodeT) -> cst.CSTNodeT:
        """Without the parentheses of a rewritten value that stands alone."""
        value = getattr(new, "value", None)
        if original is None or value is None or original.lpar:
            return new
        if self._span(original) in self.done and len(value.lpar) == 1:
            return new.with_changes(value=value.with_changes(lpar=[], rpar=[]))
        return new

    def leave_Assign(  # noqa: N802
        self, original_node: cst.Assign, updated_node: cst.Assign
    ) -> cst.Assign:
        """A value alone behind `=` needs no parentheses."""
        return self._bare(original_node.value, updated_node)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:  # noqa: N802
        """Nor does an argument."""
        return self._bare(original_node.value, updated_node)

    def _span(self, node: cst.CSTNode) -> Span:
        where = self.get_metadata(PositionProvider, node)
        assert isinstance(where, CodeRange)
        return Span(where.start.line, where.start.column, where.end.line, where.end.column)

    # ---- calls that stand alone on a line become a block behind a question

    def visit_Module(self, node: cst.Module) -> None:  # noqa: N802 - LibCST's name
        self._alone: set[Span] = set()

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> None:  # noqa: N802
        only = node.body[0]
        if len(node.body) == 1 and isinstance(only, cst.Expr):
            span = self._span(only.value)
            if self.edits.get(span, "").partition(":")[0] in STATEMENTS:
                self._alone.add(span)

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        only = original_node.body[0]
        if not (len(original_node.body) == 1 and isinstance(only, cst.Expr)):
            return updated_node
        span = self._span(only.value)
        if span not in self._alone:
            return updated_node
        new = updated_node.body[0]
        assert isinstance(new, cst.Expr)
        call = self.writer.parse(self.writer.plain_call(self.edits[span], new.value))
        line = updated_node.with_changes(body=[new.with_changes(value=call)], leading_lines=[])
        return cst.If(
            test=self.writer.parse(f"{self.writer.torch}.accelerator.is_available()"),
            body=cst.IndentedBlock([line]),
            leading_lines=updated_node.leading_lines,
        )


def _without_idle(text: str, before: str) -> str:
    """The text without imports from `torch.cuda` that nothing uses any more."""
    used, no_more = _names_in(text), _names_in(before)
    return cst.parse_module(text).visit(_Idle(no_more - used)).code


def _names_in(text: str) -> set[str]:
    return {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}


class _Idle(cst.CSTTransformer):
    """Drops names from `from torch.cuda… import`."""

    def __init__(self, idle: set[str]) -> None:
        super().__init__()
        self.idle = idle

    def leave_ImportFrom(  # noqa: N802
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        module = original_node.module
        name = cst.Module([]).code_for_node(module) if module is not None else ""
        if not name.startswith("torch.cuda") or isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        names = updated_node.names
        kept = [n for n in names if (n.evaluated_alias or n.evaluated_name) not in self.idle]
        if not kept:
            return cst.RemoveFromParent()
        kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return updated_node.with_changes(names=kept)
