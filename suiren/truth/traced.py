"""Training steps that stand in data/steps: distinct calls as functions of the batch."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from suiren.trace.call import Call, parse_call

FOLDER = Path(__file__).parents[2] / "data" / "steps"
#: A size that grows with the batch; one number in braces behind `]` is a stride.
_SIZE = re.compile(r"(?<!\])\{(\d+)([+-]\d+)?\}")
_HALF = re.compile(r"\bf16\[")
Lines = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Traced:
    """One step of a model as a function of its batch."""

    name: str
    params: int
    ops: int
    """Ops that the host issues without waiting for the card."""
    peak_fixed_bytes: float
    peak_sample_bytes: float
    lines: Lines
    """(how often, the call) with sizes that grow with the batch in braces."""
    late: Lines = ()
    """What is issued after the host waited for the backward pass, such as an optimizer's loop."""

    @property
    def late_ops(self) -> int:
        """Ops that are issued after the wait."""
        return sum(count for count, _ in self.late)

    def calls(self, batch: int, tf32: bool, half: str = "f16") -> Iterator[tuple[int, Call]]:
        """(how often, the call) at a batch, `lines` alone.

        `tf32`: FP32 products enter the engine as TF32; `half`: the 16-bit format of the card.
        """
        return _calls(self.lines, batch, tf32, half)

    def late_calls(self, batch: int, tf32: bool, half: str = "f16") -> Iterator[tuple[int, Call]]:
        """The same of `late`."""
        return _calls(self.late, batch, tf32, half)


def _calls(lines: Lines, batch: int, tf32: bool, half: str) -> Iterator[tuple[int, Call]]:
    for count, line in lines:
        text = _SIZE.sub(lambda m: str(int(m[1]) * batch + int(m[2] or 0)), line)
        if not tf32:
            text = text.replace(',math="tf32"', "")
        yield count, parse_call(_HALF.sub(f"{half}[", text))


@lru_cache(maxsize=64)
def traced(name: str) -> Traced:
    """A traced step by name; raises OSError if there is none."""
    with gzip.open(FOLDER / f"{name}.txt.gz", "rt", encoding="utf-8") as file:
        head = json.loads(file.readline())
        pairs = [line.rstrip("\n").split("\t", 1) for line in file]
    early = tuple((int(count), text) for count, text in pairs if not count.startswith("+"))
    late = tuple((int(count), text) for count, text in pairs if count.startswith("+"))
    ops = head["ops"] - sum(count for count, _ in late)
    return Traced(name, head["params"], ops, head["peak_fixed_bytes"],
                  head["peak_sample_bytes"], early, late)  # fmt: skip
