"""A script that ran out of memory is traced without values or limit, for what would fit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from suiren.commands.ask import notices
from suiren.hw.spec import Card
from suiren.units import show_bytes

if TYPE_CHECKING:
    from suiren.torch.runner import Outcome

#: Seconds that the probe for what would fit may take.
PROBE_TIMEOUT_S = 120


def advise_fit(
    outcome: Outcome, script: Path, arguments: tuple[str, ...], card: Card, on: str
) -> None:
    """Traces one step without values or limit, in its own process, for what would fit."""
    notices.print(
        "[yellow]the model does not fit; tracing one step without values to see what would …[/]"
    )
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "probe.json"
        command = [
            sys.executable, "-P", "-m", "suiren.cli", "run", str(script.resolve()), "--on", on,
            "--no-numerics", "--memory", "unlimited", "--max-steps", "3", "--quiet", "--no-history",
            "--fit-to", str(float(card.memory_bytes)), "--json", str(found), "--", *arguments,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
            )
            answer = json.loads(found.read_text())
        except subprocess.TimeoutExpired:
            notices.print(f"no step was traced in {PROBE_TIMEOUT_S} s: what would fit is not known")
            return
        except (OSError, ValueError):
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            notices.print(
                f"no step could be traced, so what would fit is not known: {last}", markup=False
            )
            return
    outcome.program.facts["fit"] = answer["fit"]
    notices.print(
        f"a whole step needs {show_bytes(answer['fit']['needed_bytes'])} on a card of "
        f"{show_bytes(card.memory_bytes)}: {answer['fit']['sentence']}",
        style="bold",
        markup=False,
    )
