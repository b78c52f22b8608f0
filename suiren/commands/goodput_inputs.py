"""What `suiren goodput` reads from a user, with mistakes turned into one sentence each."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from pathlib import Path

import click

from suiren.units import GB, KB, MB, TB, GiB, KiB, MiB, TiB

_UNITS = {"": 1, "B": 1, "KB": KB, "MB": MB, "GB": GB, "TB": TB, "PB": 1000 * TB,
          "KIB": KiB, "MIB": MiB, "GIB": GiB, "TIB": TiB, "PIB": 1024 * TiB}  # fmt: skip


def fleet(on: str | None, chips: int | None, per_node: int | None) -> tuple[int, int, str]:
    """(chips, chips in a node, title) of `--on`, `--chips` and `--chips-per-node`."""
    from suiren.hw.catalog import NODES

    if on is None:
        if chips is None:
            raise click.UsageError("say how many chips train: --chips 1024, or --on t21x8")
        return chips, per_node or 8, f"{chips:,} chips"
    node = NODES.get(on) or next((n for n in NODES.values() if on in n.aliases), None)
    if node is None:
        near = get_close_matches(on, NODES, n=3) or sorted(NODES)
        raise click.UsageError(f"no node is called {on!r}; there are {', '.join(near)}")
    count = chips or int(node.num_cards)
    return count, per_node or int(node.num_cards), f"{count:,} chips in nodes {node.title}"


def step_time(step_s: float | None, file: Path | None) -> float:
    """Seconds of a step, as given or from a JSON with `step_time_s`."""
    if step_s is not None and file is not None:
        raise click.UsageError("give --step-s or --step, not both")
    if step_s is not None:
        return step_s
    if file is None:
        raise click.UsageError(
            "say how long a step takes: --step-s 10, or --step FILE with the JSON of a run"
        )
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise click.UsageError(f"{file} cannot be read: {problem.strerror}") from None
    except ValueError:
        raise click.UsageError(f"{file} is not JSON; write one with suiren run --json") from None
    value = _found(found)
    if value is None:
        raise click.UsageError(f"{file} holds no step_time_s above 0; give --step-s instead")
    return value


def _found(document: object) -> float | None:
    """`step_time_s` or `step_s` at the top of a document or one level below."""
    if not isinstance(document, dict):
        return None
    for part in (document, *(v for v in document.values() if isinstance(v, dict))):
        value = part.get("step_time_s", part.get("step_s"))
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return float(value)
    return None


def number_of_bytes(option: str, text: str) -> float:
    """The number that `2.3TB`, `512 GiB` or `1e12` means."""
    match = re.fullmatch(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*([a-z]*?)(?:/s)?\s*", text, re.IGNORECASE)
    unit = match[2].upper() if match else ""
    try:
        value = float(match[1]) * _UNITS[unit] if match else 0.0
    except (ValueError, KeyError):
        value = 0.0
    if not 0 < value < float("inf"):
        raise click.UsageError(f"{option} {text!r} is no number of bytes; write 2.3e12 or 2.3TB")
    return value
