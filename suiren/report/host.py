"""What the host computes of a step, how long it takes, and what would shorten it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suiren.hw.default_node import node_for
from suiren.hw.host import share_bytes_per_s
from suiren.mapper.families.host import bytes_of, is_on_host, rate_of
from suiren.report.answer import Answer
from suiren.trace.program import Kind
from suiren.units import show_bytes, show_rate, show_time

#: Ops of optimizers by what they are called in words.
_NAMES = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "adagrad": "Adagrad"}


@dataclass(frozen=True, slots=True)
class HostWork:
    """The host's part of the reported step. Seconds, bytes."""

    time_s: float
    """All of it, what runs beside the card included."""
    exposed_s: float
    """Time in which the card has nothing to do but wait for it."""
    share: float
    """`time_s` over the step."""
    moved_bytes: int
    bytes_per_s: float
    """What the host's memory streams for this rank."""
    name: str
    """What takes most of it, in words."""

    @property
    def sentence(self) -> str:
        """What it is and takes, for a reader."""
        return (
            f"what the host computes ({self.name}) takes {100 * self.share:.0f} % of the step: "
            f"{show_time(self.time_s)} for {show_bytes(self.moved_bytes)} at "
            f"{show_rate(self.bytes_per_s, 'B/s')} of its memory"
        )


def host_work(answer: Answer) -> HostWork | None:
    """The host's part of a step; None where it computes nothing."""
    step, calls = answer.step, answer.program.calls
    rows = [row for row in answer.ops if row.family == "host"]
    if not rows or not answer.step_time_s:
        return None
    asked = step.events["what"][step.events["kind"] == Kind.OP].tolist()
    mine = [calls[call] for call in asked if is_on_host(calls[call])]
    rate = rate_of(mine[0]) or share_bytes_per_s(node_for(answer.card), 1)
    seconds = sum(row.time_s for row in rows)
    return HostWork(
        seconds, answer.split_s["host work"], seconds / answer.step_time_s,
        sum(map(bytes_of, mine)), rate, _name(rows[0].name),
    )  # fmt: skip


def _name(op: str) -> str:
    plain = op.rpartition("::")[2].strip("_").removeprefix("fused_")
    return f"mostly {_NAMES[plain]}" if plain in _NAMES else "its optimizer"


def advice(answer: Answer) -> str:
    """What would shorten the host's part: a simulated change, or what no step can show."""
    for change in answer.changes:
        if change.name.endswith(("on the card", "on the host")):
            return f"{change.name} would bring {change.gain_percent:+.0f} %: {change.how}"
    return (
        "more nodes bring more host memory, and every rank needs its share of the cores: "
        "torchrun gives one thread unless OMP_NUM_THREADS says more"
    )


def host_document(answer: Answer) -> dict[str, Any] | None:
    """The same for JSON."""
    found = host_work(answer)
    if found is None:
        return None
    return {
        "time_s": found.time_s, "exposed_s": found.exposed_s, "share": found.share,
        "bytes": found.moved_bytes, "bytes_per_s": found.bytes_per_s,
        "sentence": found.sentence, "advice": advice(answer),
    }  # fmt: skip
