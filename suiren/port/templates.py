"""How each kind of place is rewritten: from a node of the source to the node that replaces it.

What is written runs on a CPU, on CUDA and on any other accelerator that PyTorch knows. On a CUDA
machine `DEVICE` is "cuda" and `torch.get_device_module(DEVICE)` is `torch.cuda`, so that nothing
changes there.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import libcst as cst

from suiren.port.calls import DTYPES


@dataclass
class Writer:
    """Writes expressions with the names that one file uses."""

    torch: str
    """What the file calls `torch`."""
    device: str
    """The name of the constant that holds the device's type."""
    event: str
    """The name of the class that is an event here."""
    needs_event: bool = False
    name: str = ""
    """What PyTorch calls the function or class that is rewritten."""
    around: list[str] = field(default_factory=list)
    """Quotes of the f-strings that the place stands in."""
    code: Callable[[cst.CSTNode], str] = field(
        default=lambda node: cst.Module([]).code_for_node(node)
    )

    def rewrite(self, action: str, node: cst.BaseExpression) -> cst.BaseExpression:
        """The node in its new form; the node itself where its form is not one that is known."""
        verb, _, self.name = action.partition(":")
        made = getattr(self, f"_{verb}")(node)
        return made if isinstance(made, cst.BaseExpression) else self.parse(made) if made else node

    def parse(self, text: str) -> cst.BaseExpression:
        """An expression from its text, without the quotes of the f-string around it."""
        if any('"' in quote for quote in self.around):
            text = text.replace('"', "'")
        return cst.parse_expression(text)

    @property
    def module(self) -> str:
        """The device's own module."""
        return f"{self.torch}.get_device_module({self.device})"

    # ---- devices

    def _text(self, node: cst.BaseExpression) -> cst.BaseExpression | str:
        if isinstance(node, cst.FormattedString):
            first = node.parts[0]
            if not isinstance(first, cst.FormattedStringText):
                return node
            name = cst.FormattedStringExpression(cst.Name(self.device))
            after = first.with_changes(value=first.value.removeprefix("cuda"))
            return node.with_changes(parts=[name, after, *node.parts[1:]])
        if not isinstance(node, cst.SimpleString):
            return node
        value = ast.literal_eval(node.value)
        rest = str(value).removeprefix("cuda")
        if not rest:
            return self.device
        quote = node.quote
        escaped = rest.replace("{", "{{").replace("}", "}}")
        return f"f{quote}{{{self.device}}}{escaped}{quote}"

    def _ordinal(self, node: cst.BaseExpression) -> str:
        if isinstance(node, cst.Integer):
            return f'f"{{{self.device}}}:{node.value}"'
        return f"{self.torch}.device({self.device}, {self.code(node)})"

    def _moved(self, node: cst.BaseExpression, where: str | None) -> cst.BaseExpression:
        assert isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
        given = [a for a in node.args if _is_device_argument(a)]
        expression = cst.Name(self.device) if where is None else self.parse(where)
        if given:
            bare = cst.MaybeSentinel.DEFAULT
            first = given[0].with_changes(value=expression, keyword=None, equal=bare)
        else:
            first = cst.Arg(expression)
        rest = [a for a in node.args if not _is_device_argument(a)]
        if rest and not given:
            first = first.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        func = node.func.with_changes(attr=cst.Name("to"))
        return node.with_changes(func=func, args=[first, *rest])

    def _to(self, node: cst.BaseExpression) -> cst.BaseExpression:
        return self._moved(node, None)

    def _to_ordinal(self, node: cst.BaseExpression) -> cst.BaseExpression:
        assert isinstance(node, cst.Call)
        value = next(a.value for a in node.args if _is_device_argument(a))
        return self._moved(node, self._ordinal(value))

    def _to_given(self, node: cst.BaseExpression) -> cst.BaseExpression:
        assert isinstance(node, cst.Call)
        value = next(a.value for a in node.args if _is_device_argument(a))
        return self._moved(node, self.code(value))

    def _pin(self, node: cst.BaseExpression) -> str:
        assert isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
        owner = self.code(node.func.value)
        return f"({self.code(node)} if {self._there} else {owner})"

    def _is_cuda(self, node: cst.BaseExpression) -> str:
        assert isinstance(node, cst.Attribute)
        return f'({self.code(node.value)}.device.type != "cpu")'

    # ---- the module

    @property
    def _there(self) -> str:
        return f"{self.torch}.accelerator.is_available()"

    def _module(self, node: cst.BaseExpression) -> str:
        return f"{self.module}.{self.name}"

    def _drain(self, node: cst.BaseExpression) -> str:
        assert isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
        stream = node.func.value
        assert isinstance(stream, cst.Call)
        inside = self.code(stream.with_changes(func=cst.Name("f")))[1:]
        return f"{self.module}.synchronize{inside}"

    def _available(self, node: cst.BaseExpression) -> str:
        return self._there

    def _count(self, node: cst.BaseExpression) -> str:
        return f"{self.torch}.accelerator.device_count"

    def _seed(self, node: cst.BaseExpression) -> str:
        return f"{self.torch}.manual_seed"

    def _event(self, node: cst.BaseExpression) -> cst.BaseExpression:
        assert isinstance(node, cst.Call)
        self.needs_event = True
        order = ("enable_timing", "blocking", "interprocess")
        return node.with_changes(func=cst.Name(self.event), args=_named(node.args, order))

    def plain_call(self, action: str, node: cst.BaseExpression) -> str:
        """The call that an accelerator answers, without the question whether one is there."""
        assert isinstance(node, cst.Call)
        verb, _, name = action.partition(":")
        inside = self.code(node.with_changes(func=cst.Name("f")))[1:]
        if verb == "question":
            return f"{self.module}.{name}{inside}"
        return f"{self.torch}.accelerator.{_ACCELERATOR_NAMES.get(name, name)}{inside}"

    def _asked(self, verb: str, node: cst.BaseExpression) -> str:
        otherwise = _WITHOUT.get(self.name, "None")
        return f"({self.plain_call(f'{verb}:{self.name}', node)} if {self._there} else {otherwise})"

    def _memory(self, node: cst.BaseExpression) -> str:
        return self._asked("memory", node)

    def _question(self, node: cst.BaseExpression) -> str:
        return self._asked("question", node)

    def _set_device(self, node: cst.BaseExpression) -> str:
        return self._asked("set_device", node)

    def _amp(self, node: cst.BaseExpression) -> cst.BaseExpression | str:
        if not isinstance(node, cst.Call):
            return f"{self.torch}.amp.{self.name}(device_type={self.device})"
        name = self.name
        func = self.parse(f"{self.torch}.amp.{name}")
        space = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        args = list(node.args)
        if name.startswith("custom"):
            word = cst.Arg(cst.Name(self.device), keyword=cst.Name("device_type"), equal=_EQUAL)
            args = [a.with_changes(comma=space) for a in args]
            return node.with_changes(func=func, args=[*args, word])
        if name == "autocast":
            args = _named(args, ("enabled", "dtype", "cache_enabled"))
        first = cst.Arg(cst.Name(self.device), comma=space if args else cst.MaybeSentinel.DEFAULT)
        return node.with_changes(func=func, args=[first, *args])

    # ---- types

    def _legacy(self, node: cst.BaseExpression) -> str:
        assert isinstance(node, cst.Call)
        inside = self.code(node.with_changes(func=cst.Name("f")))[1:]
        return f"{self.torch}.{self.name}{inside}.to({self.device})"

    def _type_cast(self, node: cst.BaseExpression) -> cst.BaseExpression | str:
        assert isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
        owner = self.code(node.func.value)
        return f"{owner}.to({self.device}, {self.torch}.{DTYPES[self.name]})"

    def _default_type(self, node: cst.BaseExpression) -> str:
        return f"{self.torch}.set_default_device({self.device})"

    # ---- backends and options

    def _nccl(self, node: cst.BaseExpression) -> str:
        if isinstance(node, cst.SimpleString) and "gloo" in node.value:
            return "None"
        return f"{self.torch}.distributed.get_default_backend_for_device({self.device})"

    def _ddp(self, node: cst.BaseExpression) -> str:
        return f"{self.code(node)} if {self._there} else None"

    def _sdpa(self, node: cst.BaseExpression) -> str:
        return '"sdpa"' if '"' in self.code(node) else "'sdpa'"

    def _auto(self, node: cst.BaseExpression) -> str:
        return '"auto"' if '"' in self.code(node) else "'auto'"


_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
_ACCELERATOR_NAMES = {
    "set_device": "set_device_index",
    "mem_get_info": "get_memory_info",
    "memory_cached": "memory_reserved",
    "max_memory_cached": "max_memory_reserved",
    "reset_max_memory_allocated": "reset_peak_memory_stats",
    "reset_max_memory_cached": "reset_peak_memory_stats",
}
#: What stands for an answer where no accelerator is there.
_WITHOUT = {
    "memory_allocated": "0",
    "max_memory_allocated": "0",
    "memory_reserved": "0",
    "max_memory_reserved": "0",
    "memory_cached": "0",
    "max_memory_cached": "0",
    "memory_stats": "{}",
    "mem_get_info": "(0, 0)",
    "get_device_name": '"cpu"',
    "is_bf16_supported": "True",
}
#: Actions whose calls stand alone on a line as often as in an expression.
STATEMENTS = ("memory", "set_device")


def _named(args: Sequence[cst.Arg], order: Sequence[str]) -> list[cst.Arg]:
    """The arguments with those that have no name given theirs, in the order of the function."""
    return [
        argument
        if argument.keyword or argument.star or place >= len(order)
        else argument.with_changes(keyword=cst.Name(order[place]), equal=_EQUAL)
        for place, argument in enumerate(args)
    ]


def _is_device_argument(argument: cst.Arg) -> bool:
    if argument.star:
        return False
    return argument.keyword is None or argument.keyword.value == "device"
