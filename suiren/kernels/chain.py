"""Chains: elementwise programs as text, the middle of every fused kernel.

    s = sigmoid(gate)
    y = gate * s * up

Each line assigns an expression of instructions (`erf(x)`), arithmetic, comparisons and
`a if p else b`. A product that is only added to becomes one `fma`. A name is a tensor of the
kernel, a scalar option, a value made above, or a position: `position` counts the elements of
the result, `position_M` those along dimension M.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from suiren.core.instruction import INSTRUCTIONS
from suiren.core.tile import KernelMistake

Word = str | float

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
    ast.Mod: "remainder", ast.FloorDiv: "floor_divide", ast.Eq: "eq", ast.NotEq: "ne",
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.And: "both", ast.Or: "either",
    ast.Not: "negate", ast.USub: "neg",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction of a chain: `target = instruction sources`."""

    target: str
    instruction: str
    sources: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Instructions in order; a target may be assigned again."""

    lines: tuple[Line, ...]

    @classmethod
    def parse(cls, text: str) -> Chain:
        """Raises KernelMistake where the text does not follow the form."""
        try:
            statements = ast.parse("\n".join(row.strip() for row in text.splitlines())).body
        except SyntaxError as mistake:
            raise KernelMistake(f"a chain has lines like 'y = exp(x) + 1': {mistake}") from None
        reader = _Reader()
        for statement in statements:
            match statement:
                case ast.Assign(targets=[ast.Name(name)], value=value):
                    reader.assign(name, value)
                case _:
                    raise KernelMistake(f"{ast.unparse(statement)!r} does not assign one name")
        return cls(tuple(reader.lines))

    def reads(self) -> tuple[str, ...]:
        """Names it reads before it makes them, in order of appearance."""
        made: set[str] = set()
        found: dict[str, None] = {}
        for line in self.lines:
            found.update((s, None) for s in line.sources if isinstance(s, str) and s not in made)
            made.add(line.target)
        return tuple(found)

    def is_final(self, number: int) -> bool:
        """True if no later line makes the target of line `number` again."""
        return all(o.target != self.lines[number].target for o in self.lines[number + 1 :])

    def last_use(self, number: int) -> int:
        """Number of the last line that reads what line `number` makes; `number` if none does."""
        name, last = self.lines[number].target, number
        for later in range(number + 1, len(self.lines)):
            if name in self.lines[later].sources:
                last = later
            if self.lines[later].target == name:
                break
        return last


@dataclass
class _Reader:
    """Turns expressions into lines, inner ones first."""

    lines: list[Line] = field(default_factory=list)

    def assign(self, name: str, value: ast.expr) -> None:
        word = self.word(value)
        if isinstance(word, str) and word.startswith("~"):
            last = self.lines.pop()
            self.lines.append(Line(name, last.instruction, last.sources))
        else:
            self.lines.append(Line(name, "cast", (word,)))

    def word(self, value: ast.expr) -> Word:
        """The number or name an expression comes to, after the lines that make it."""
        match value:
            case ast.Constant(int() | float() as number):
                return float(number)
            case ast.Name(name):
                return name
            case ast.BinOp(ast.BinOp(a, ast.Mult(), b), ast.Add(), c):
                return self.line("fma", a, b, c)
            case ast.BinOp(c, ast.Add(), ast.BinOp(a, ast.Mult(), b)):
                return self.line("fma", a, b, c)
            case ast.BinOp(left, operator, right):
                return self.line(_OPERATORS.get(type(operator), "?"), left, right)
            case ast.UnaryOp(operator, operand):
                return self.line(_OPERATORS.get(type(operator), "?"), operand)
            case ast.Compare(left, [operator], [right]):
                return self.line(_OPERATORS.get(type(operator), "?"), left, right)
            case ast.BoolOp(operator, [left, right]):
                return self.line(_OPERATORS[type(operator)], left, right)
            case ast.IfExp(test, body, orelse):
                return self.line("select", test, body, orelse)
            case ast.Call(ast.Name(name), arguments, []) if name in INSTRUCTIONS:
                return self.line(name, *arguments)
        raise KernelMistake(f"{ast.unparse(value)!r} is no instruction of a core")

    def line(self, instruction: str, *operands: ast.expr) -> Word:
        if instruction not in INSTRUCTIONS:
            raise KernelMistake(f"no instruction does what joins {ast.unparse(operands[0])!r}")
        sources = tuple(self.word(o) for o in operands)
        numbers = [s for s in sources if isinstance(s, float)]
        if len(numbers) == len(sources):
            return float(INSTRUCTIONS[instruction].meaning(*numbers))
        self.lines.append(Line(f"~{len(self.lines)}", instruction, sources))
        return self.lines[-1].target
