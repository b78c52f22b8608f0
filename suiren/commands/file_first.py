"""A group of commands whose first argument may be a file."""

from __future__ import annotations

from typing import Any

import click


class FileFirst(click.Group):
    """`group FILE` is `group DEFAULT FILE`: what names no command goes to the default one.

    Args:
        default: Name of the command that takes the file.
    """

    def __init__(self, *args: Any, default: str, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's hook: the default command is put before what names none."""
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)
