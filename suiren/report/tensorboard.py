"""Scalars of every step as an event file that TensorBoard reads.

The time of an event is the simulated time at which its step ended, so TensorBoard's relative
axis is the card's own time, and the same run gives the same bytes. The loss is the script's:
asking for it would be an op that the script did not ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suiren.mapper.energy import energy_j
from suiren.mapper.memory import peak_bytes
from suiren.mapper.step import Prices
from suiren.report.answer import Answer
from suiren.report.batch import batch_of
from suiren.report.work import WorkDone


class NoTensorBoard(ValueError):  # noqa: N818 - reads as what it is
    """The package that writes event files is missing; the sentence says how to install it."""


def must_be_there() -> None:
    """Raises NoTensorBoard where tensorboardX is not installed."""
    try:
        import tensorboardX.record_writer  # noqa: F401
    except ImportError:
        raise NoTensorBoard(
            "--tensorboard needs the package tensorboardX: pip install 'suiren[tensorboard]'"
        ) from None


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a distinct step is, whenever it runs."""

    dynamic_j: float
    model_flop: float
    peak_flop_per_s: float
    samples: int
    tokens: int | None
    memory_bytes: int


def scalars(answer: Answer) -> Iterator[tuple[float, dict[str, float]]]:
    """For every step in order: the simulated second at which it ended, and its scalars."""
    program, card = answer.program, answer.card
    prices = Prices(program.calls, card, clock=answer.clock_share)
    kinds: dict[int, _Kind] = {}
    at_s = 0.0
    for key, seconds in zip(program.order, answer.step_times_s, strict=True):
        if key not in kinds:
            step = program.distinct[key]
            work, batch = WorkDone(program, prices, step), batch_of(program, step)
            kinds[key] = _Kind(
                work.dynamic_j, work.model_flop, work.peak_flop_per_s(card), batch.samples,
                batch.tokens, peak_bytes(step),
            )  # fmt: skip
        at_s += seconds
        yield at_s, _scalars(kinds[key], seconds, answer)


def _scalars(kind: _Kind, seconds: float, answer: Answer) -> dict[str, float]:
    found = {"step_time_s": seconds, "memory/peak_bytes": float(kind.memory_bytes)}
    if not seconds:
        return found
    joules = energy_j(kind.dynamic_j, seconds, answer.card)
    found |= {"energy/joules": joules, "energy/power_w": joules / seconds}
    found["throughput/samples_per_s"] = kind.samples / seconds
    if kind.tokens:
        found["throughput/tokens_per_s"] = kind.tokens / seconds
    if kind.peak_flop_per_s:
        found["mfu"] = kind.model_flop / (kind.peak_flop_per_s * seconds)
    return found


def write_events(answer: Answer, folder: Path) -> Path:
    """Writes one event file into the folder, replacing what the same script and card left there.

    Raises NoTensorBoard without tensorboardX, OSError where the folder cannot be written.
    """
    must_be_there()
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    script = Path(str(answer.program.facts.get("script", "program"))).stem
    path = folder / f"events.out.tfevents.0000000000.{script}-{answer.card.name}"
    path.unlink(missing_ok=True)  # the writer appends
    writer = RecordWriter(str(path))
    try:
        writer.write(Event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())
        for number, (at_s, values) in enumerate(scalars(answer)):
            rows: list[Any] = [Summary.Value(tag=t, simple_value=v) for t, v in values.items()]
            event = Event(wall_time=at_s, step=number, summary=Summary(value=rows))
            writer.write(event.SerializeToString())
    finally:
        writer.close()
    return path
