"""What a kind of tie is: its name, what becomes of it, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["runs as is", "rewritten", "needs a person"]
AS_IS: Verdict = "runs as is"
REWRITTEN: Verdict = "rewritten"
PERSON: Verdict = "needs a person"
VERDICTS: tuple[Verdict, ...] = (PERSON, REWRITTEN, AS_IS)


@dataclass(frozen=True, slots=True)
class Tie:
    """A way in which code is tied to CUDA."""

    name: str
    verdict: Verdict
    under_transfer: bool
    """Whether it works unchanged under `suiren run` and `transfer_to_gcu`."""
    advice: str
    example: str
    """A short piece of code or text that holds exactly this tie."""
    file: str = "train.py"
    """The name of a file in which the example would stand."""

    def verdict_without_edit(self) -> Verdict:
        """What becomes of an occurrence that cannot be rewritten."""
        if self.verdict != REWRITTEN:
            return self.verdict
        return AS_IS if self.under_transfer else PERSON
