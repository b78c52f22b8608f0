"""A parsed Python file with its nodes sorted by type, walked once."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)


def lines_of(text: str) -> list[str]:
    """Lines with their ends, as Python counts them: a form feed ends none."""
    return io.StringIO(text, newline="\n").readlines()


class Parsed:
    """The tree of a file; raises SyntaxError or ValueError for text that is no Python 3."""

    def __init__(self, source: str) -> None:
        self.tree = ast.parse(source)
        self.by_type: dict[type[ast.AST], list[ast.AST]] = {}
        self.assigned: dict[str, list[ast.expr]] = {}
        """Values given to each name, filled by who asks first."""
        self.chosen: set[str] | None = None
        """Names set to a device rather than to a number, filled by who asks first."""
        todo: list[ast.AST] = [self.tree]
        for node in todo:
            self.by_type.setdefault(type(node), []).append(node)
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, ast.AST):
                    todo.append(value)
                elif isinstance(value, list):
                    todo.extend(v for v in value if isinstance(v, ast.AST))

    def all(self, *kinds: type[Node]) -> Iterator[Node]:
        """Every node of the given types."""
        for kind in kinds:
            yield from self.by_type.get(kind, ())  # type: ignore[misc]
