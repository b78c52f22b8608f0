"""One distinct call: an op with the shapes, strides and formats it was called with.

A call prints as one line and parses back:

    aten::mm(self=f32[8,16],mat2=f32[16,4]{1,16})->(f32[8,4])

Strides stand in braces unless the tensor is contiguous, `cpu:` before a host tensor, `~`
for a floating scalar (it does not change what the chip has to do).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from suiren.dtype import itemsize_bytes, moved_bytes


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's format, shape and strides (in elements; None when contiguous)."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    on_host: bool = False

    @property
    def numel(self) -> int:
        """Number of elements, repeated ones counted."""
        return math.prod(self.shape)

    @property
    def distinct(self) -> int:
        """Number of elements in memory: a broadcast dimension (stride 0) counts once."""
        if self.strides is None:
            return self.numel
        return math.prod(n for n, s in zip(self.shape, self.strides, strict=True) if s != 0)

    @property
    def itemsize_bytes(self) -> int:
        """Bytes of one element."""
        return itemsize_bytes(self.dtype)

    @property
    def bytes(self) -> int:
        """Bytes a kernel must touch to read or write the tensor once."""
        return math.ceil(self.distinct * moved_bytes(self.dtype))

    def with_dtype(self, dtype: str) -> Tensor:
        """The same tensor in another format."""
        return Tensor(dtype, self.shape, self.strides, self.on_host)

    def __str__(self) -> str:
        host = "cpu:" if self.on_host else ""
        text = f"{host}{self.dtype}[{','.join(map(str, self.shape))}]"
        return text if self.strides is None else f"{text}{{{','.join(map(str, self.strides))}}}"


class Float:
    """A floating scalar whose value is not part of the call."""

    def __repr__(self) -> str:
        return "~"


FLOAT = Float()

Value = (
    Tensor
    | int
    | bool
    | str
    | None
    | Float
    | tuple["Tensor | int | bool | str | Float | None", ...]
)


@dataclass(frozen=True, slots=True)
class Call:
    """An op and what it was called with, by argument name, and what it answered."""

    op: str
    """With namespace and overload: `aten::add.Tensor`."""
    arguments: dict[str, Value] = field(hash=False)
    outputs: tuple[Value, ...] = field(hash=False)

    @property
    def name(self) -> str:
        """The op without namespace and overload: `add`."""
        return self.op.split("::")[-1].split(".")[0]

    def inputs(self) -> Iterator[Tensor]:
        """Every tensor among the arguments, in order."""
        yield from _tensors(self.arguments.values())

    def results(self) -> Iterator[Tensor]:
        """Every tensor among the outputs, in order."""
        yield from _tensors(self.outputs)

    def tensor(self, name: str) -> Tensor:
        """The tensor argument of that name; raises KeyError if there is none."""
        value = self.arguments[name]
        if not isinstance(value, Tensor):
            raise KeyError(name)
        return value

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """The tensors of a list argument; empty if it is missing."""
        value = self.arguments.get(name)
        return tuple(_tensors((value,)))

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The integers of a list argument."""
        value = self.arguments.get(name)
        if isinstance(value, tuple):
            return tuple(int(v) for v in value if isinstance(v, int))
        return default

    def __str__(self) -> str:
        arguments = ",".join(f"{k}={_show(v)}" for k, v in self.arguments.items())
        return f"{self.op}({arguments})->({','.join(_show(v) for v in self.outputs)})"


def _tensors(values: object) -> Iterator[Tensor]:
    for value in values:  # type: ignore[attr-defined]
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple):
            yield from _tensors(value)


def _show(value: Value) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"[{','.join(_show(v) for v in value)}]"
    return repr(value) if isinstance(value, Float) else str(value)


class CallSyntaxError(ValueError):
    """A line of a trace that is not a call."""


_TOKEN = re.compile(
    r"""(?P<tensor>(?:cpu:)?[a-zA-Z][\w.]*\[[\d,]*\](?:\{[\d,]*\})?)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<int>-?\d+)
      | (?P<word>true|false|none|~)
      | (?P<open>\[) | (?P<close>\]) | (?P<comma>,)""",
    re.VERBOSE,
)
_WORDS: dict[str, Value] = {"true": True, "false": False, "none": None, "~": FLOAT}
_HEAD = re.compile(r"([\w:.]+)\(")
_NAME = re.compile(r"(\w+)=")


def parse_call(line: str) -> Call:
    """Reads what `str(call)` prints; raises CallSyntaxError that names the faulty part."""
    head = _HEAD.match(line)
    if head is None:
        raise CallSyntaxError(f"not a call: {line[:80]!r}")
    op, at = head[1], head.end()
    arguments: dict[str, Value] = {}
    while line[at : at + 1] != ")":
        name = _NAME.match(line, at)
        if name is None:
            raise CallSyntaxError(f"{op}: expected `name=value` at {line[at : at + 40]!r}")
        arguments[name[1]], at = _value(op, line, name.end())
        at = _past_comma(op, line, at, ")")
    if line[at : at + 4] != ")->(":
        raise CallSyntaxError(f"{op}: expected `)->(` at {line[at : at + 40]!r}")
    at += 4
    outputs: list[Value] = []
    while line[at : at + 1] != ")":
        value, at = _value(op, line, at)
        outputs.append(value)
        at = _past_comma(op, line, at, ")")
    if at + 1 != len(line):
        raise CallSyntaxError(f"{op}: {line[at + 1 : at + 41]!r} follows the call")
    return Call(op, arguments, tuple(outputs))


def _value(op: str, text: str, at: int) -> tuple[Value, int]:
    token = _TOKEN.match(text, at)
    if token is None:
        raise CallSyntaxError(f"{op}: cannot read {text[at : at + 40]!r}")
    if token["open"]:
        return _list(op, text, token.end())
    return _scalar(op, token), token.end()


def _past_comma(op: str, text: str, at: int, closing: str) -> int:
    """The place after a comma, or at the bracket that closes."""
    if text[at : at + 1] == closing:
        return at
    if text[at : at + 1] != "," or text[at + 1 : at + 2] == closing:
        raise CallSyntaxError(f"{op}: expected `,` or `{closing}` at {text[at : at + 40]!r}")
    return at + 1


def _scalar(op: str, token: re.Match[str]) -> Value:
    if token["tensor"]:
        return parse_tensor(token["tensor"])
    if token["string"]:
        try:
            return str(json.loads(token["string"]))
        except ValueError:
            raise CallSyntaxError(f"{op}: cannot read {token['string'][:40]}") from None
    if token["int"]:
        return int(token["int"])
    if token["word"]:
        return _WORDS[token["word"]]
    raise CallSyntaxError(f"{op}: unexpected {token[0]!r}")


def _list(op: str, text: str, at: int) -> tuple[Value, int]:
    items: list[Tensor | int | bool | str | Float | None] = []
    while at < len(text) and text[at] != "]":
        value, at = _value(op, text, at)
        items.append(value)  # type: ignore[arg-type]
        at = _past_comma(op, text, at, "]")
    if at >= len(text):
        raise CallSyntaxError(f"{op}: a list does not end")
    return tuple(items), at + 1


def parse_tensor(text: str) -> Tensor:
    """Reads what `str(tensor)` prints."""
    on_host = text.startswith("cpu:")
    dtype, _, rest = text.removeprefix("cpu:").partition("[")
    shape, _, strides = rest.partition("]")
    return Tensor(
        dtype,
        _numbers(shape),
        _numbers(strides[1:-1]) if strides else None,
        on_host,
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",")) if text else ()
