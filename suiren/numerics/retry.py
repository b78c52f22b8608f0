"""Which fixes could help, and each of them tried in a process of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suiren.numerics.fix import Fix
from suiren.numerics.losing import Scaling
from suiren.numerics.trouble import Trouble

#: Seconds that one fix may be tried for.
TIMEOUT_S = 300
#: Fixes tried for one trouble, the cheapest first.
MOST_TRIED = 3
#: Steps run beyond the one in which the trouble was.
STEPS_BEYOND = 2


@dataclass(frozen=True)
class Tried:
    """One fix and what it did."""

    fix: Fix
    vanished: bool
    """Neither this trouble nor another one was there."""
    told: str
    """What happened, in words."""
    step_time_s: float | None = None
    """Simulated time of the step with the fix."""


ADVICE = (
    ("log of 0", "keep the argument of the logarithm away from 0: add an epsilon or clamp it"),
    ("log2 of 0", "keep the argument of the logarithm away from 0: add an epsilon or clamp it"),
    ("log of −", "the argument became negative: clamp it, or see what produced it"),
    ("0 / 0", "add an epsilon to the denominator, or mask the element before dividing"),
    ("division by zero", "add an epsilon to the denominator"),
    ("sqrt of −", "clamp the argument at 0; a variance is the mean of squared differences"),
    ("rsqrt of 0", "add an epsilon under the root"),
    ("softmax is all", "keep at least one element of every row, or fill the row afterwards"),
    ("∞ − ∞", "see what produced the infinity"),
    ("0 × ∞", "see what produced the infinity; a mask by multiplication does not remove it"),
    ("0 × −∞", "see what produced the infinity; torch.xlogy and torch.where avoid the product"),
    ("exp of", "subtract the largest exponent first, as a softmax does"),
    ("when they came to the card", "look at the data: the values were not finite before"),
    ("times as large as their difference", "use a form that does not subtract two large numbers: "
     "the variance is the mean of squared differences"),
)  # fmt: skip


def advice(trouble: Trouble) -> str:
    """What a user could do by hand, or an empty string."""
    return next((text for words, text in ADVICE if words in trouble.cause), "")


def candidates(trouble: Trouble, scaling: Scaling) -> list[Fix]:
    """Fixes that could help, the cheapest first."""
    place = trouble.place
    line = Fix("line", f"compute {place.where} in FP32", file=place.file, line=place.line)
    module = Fix("module", f"keep {place.module} in FP32", module=place.module)
    bf16 = Fix("bf16", "use BF16 in place of FP16")
    low = trouble.format in ("FP16", "BF16")
    found: list[Fix] = []
    if trouble.what == "underflow" and place.phase == "backward":
        found += [_scaled(2.0**10), _scaled(2.0**16)]
    if trouble.what in ("overflow", "infinity", "nan") and place.phase == "backward" and low:
        # what the loss is scaled by in the script, taken back in part and then wholly
        current = scaling.scale or 2.0**16
        found += [_scaled(2.0**-8), _scaled(1 / max(2.0, current))]
    if trouble.what in ("accumulation", "cancellation", "error") and low and place.file:
        found.append(line)
    if trouble.what in ("overflow", "nan", "infinity", "underflow") and low:
        if place.phase != "backward" and place.file:
            found.append(line)
        if place.module:
            found.append(module)
        if trouble.format == "FP16":
            found.append(bf16)
    return found[:MOST_TRIED]


def _scaled(factor: float) -> Fix:
    power = math.log2(factor)
    how = f"2^{power:.0f}" if power > 0 else f"1/2^{-power:.0f}"
    return Fix("scale", f"scale the loss by {how}", factor=factor)


def tried(
    fix: Fix, trouble: Trouble, script: Path, arguments: Sequence[str], options: Sequence[str]
) -> Tried:
    """Runs the script again with the fix, to a little after the step of the trouble."""
    steps = trouble.place.step + 1 + STEPS_BEYOND
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [
            sys.executable, "-P", "-m", "suiren.cli", "numerics", "run", str(script), *options,
            "--no-history", "--max-steps", str(steps), "--no-fix", "--quiet", "--json", str(found),
            "--with-fix", json.dumps(fix.as_json()), "--", *arguments,
        ]  # fmt: skip
        try:
            ran = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
            answer = json.loads(found.read_text())
        except subprocess.TimeoutExpired:
            return Tried(fix, False, f"was not done in {TIMEOUT_S} s")
        except (OSError, ValueError):
            last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
            return Tried(fix, False, f"the run failed: {last}")
    return _told(fix, trouble, answer)


def _told(fix: Fix, trouble: Trouble, answer: dict[str, Any]) -> Tried:
    left = [t for t in answer["findings"] if t["weight"] == "trouble"]
    seconds = answer["step_time_s"]
    if answer["ended"] == "raised":
        return Tried(fix, False, f"the script raised: {answer['error'][:160]}", seconds)
    if not left:
        return Tried(fix, True, "the trouble is gone", seconds)
    same = [t for t in left if t["what"] == trouble.what and t["line"] == trouble.place.line]
    if same:
        return Tried(fix, False, "the trouble is still there", seconds)
    return Tried(fix, False, f"another one comes up: {left[0]['headline']}", seconds)
