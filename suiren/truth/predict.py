"""A measured row on a card: the seconds Suiren predicts, or one phrase that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from suiren.fleet.framework import Framework
from suiren.hw.load import resolve_card
from suiren.hw.names import card_for_hardware
from suiren.hw.spec import Card
from suiren.truth import (
    attention,
    collectives,
    convolutions,
    products,
    steps,
    steps_flagperf,
    steps_layout,
    steps_sharded,
    steps_torus,
    steps_traced,
    streams,
)
from suiren.truth.rows import Row
from suiren.truth.sharded_kind import kind_of
from suiren.truth.unknown import NotPredicted

FAMILIES = (
    steps_flagperf,
    steps_sharded,
    steps_torus,
    steps_traced,
    steps,
    products,
    attention,
    convolutions,
    streams,
    collectives,
)

#: Of a row that gets a prediction and tells nothing to compare it with.
UNJUDGED = "predicted, but what the row states is no time and cannot be turned into one"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A row with its prediction; where there is no `error`, `status` says why."""

    row: Row
    card: str
    seconds: float | None
    status: str
    family: str = ""
    assumed_framework: str = ""
    """The described framework that stands for the row's own, which nobody described."""

    @property
    def error(self) -> float | None:
        """(predicted − measured) / measured."""
        if self.seconds is None or not self.row.measured_s:
            return None
        return self.seconds / self.row.measured_s - 1


def predict(row: Row, on: str | None = None) -> Prediction:
    """The prediction for a row; `on` names a card to take instead of the row's own."""
    card = card_of(row.hardware, on)
    if card is None:
        return Prediction(row, "", None, f"no card of the catalogue is {row.hardware!r}")
    for family in FAMILIES:
        if not family.covers(row):
            continue
        try:
            if not card.can_time:
                raise NotPredicted(f"no peak of {card.title} was ever published")
            status = "predicted" if row.measured_s else UNJUDGED
            return Prediction(row, card.name, family.seconds(row, card), status,
                              family.__name__.rpartition(".")[2], _taken(family, row))  # fmt: skip
        except NotPredicted as reason:
            return Prediction(row, card.name, None, str(reason))
        except KeyError as missing:
            return Prediction(row, card.name, None, f"the shape gives no size {missing}")
    return Prediction(row, card.name, None, f"no kernel is timed for the op {row.op!r}")


def _taken(family: object, row: Row) -> str:
    """The framework that stands for the row's own; nothing where that is described."""
    found: Framework | None = None
    if family is steps_sharded:
        found = kind_of(row)
    elif family is steps and not steps.is_unpadded(row):
        found = steps_layout.framework_of(row)
    return found.title if found is not None and found.stands_for else ""


@lru_cache(maxsize=None)
def card_of(hardware: str, on: str | None) -> Card | None:
    """The card a row was measured on, or the one asked for."""
    return resolve_card(on) if on else card_for_hardware(hardware)
