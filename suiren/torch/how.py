"""How to run a script; without PyTorch, so that who only asks does not wait for it."""

from __future__ import annotations

from dataclasses import dataclass

UNLIMITED_BYTES = 1 << 62


@dataclass(frozen=True)
class How:
    """How to run a script."""

    numerics: bool = True
    tf32: str = "auto"
    memory_bytes: int | None = None
    """Replaces the card's capacity; `UNLIMITED_BYTES` for no limit."""
    seed: int | None = None
    max_steps: int | None = None
    """Ends the script after so many training steps."""
