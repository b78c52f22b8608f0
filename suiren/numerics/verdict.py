"""All findings together: which of them matter, which one comes first, which were harmless.

An infinity may be meant (the logarithm of a mask) and a scaler skips steps on purpose: both
are trouble only where the run does not come out of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from suiren.numerics.losing import Loss, Scaling
from suiren.numerics.trouble import Trouble

#: Steps that a GradScaler may skip while it finds its scale.
SKIPS_ALLOWED = 2


def decide(
    troubles: Sequence[Trouble],
    losses: Sequence[Loss],
    scaling: Scaling,
    num_steps: int,
    nan_steps: AbstractSet[int],
) -> list[Trouble]:
    """The findings with their final weight, trouble first, each group in order of the run.

    `nan_steps` are the steps in whose backward or optimizer a NaN was.
    """
    sound = {x.step for x in losses if math.isfinite(x.card)} - nan_steps
    troubles = [_masked(t) if _is_masked(t, sound) else t for t in troubles]
    nan_orders = [
        t.order for t in troubles if t.what == "nan" and not t.scaled and t.weight == "trouble"
    ]
    ruined = any(not math.isfinite(loss.card) for loss in losses)
    recovered = len(scaling.skipped) <= SKIPS_ALLOWED and len(scaling.skipped) < num_steps
    decided = []
    for trouble in troubles:
        if trouble.weight != "pending":
            decided.append(trouble)
        elif trouble.scaled:
            decided.append(_scaled(trouble, scaling, recovered))
        else:
            leads = any(order > trouble.order for order in nan_orders)
            lasting = leads or ruined or trouble.place.phase == "backward"
            decided.append(trouble.weighing("trouble" if lasting else "note"))
    return sorted(decided, key=lambda t: (t.weight != "trouble", t.order))


def _is_masked(trouble: Trouble, sound: AbstractSet[int]) -> bool:
    is_nan = trouble.what == "nan" and trouble.weight == "trouble"
    return is_nan and trouble.place.phase == "forward" and trouble.place.step in sound


def _masked(trouble: Trouble) -> Trouble:
    told = trouble.weighing("note")
    told.cause += "; it was masked away: the step's loss and gradients hold no NaN"
    return told


def _scaled(trouble: Trouble, scaling: Scaling, recovered: bool) -> Trouble:
    count = len(scaling.skipped)
    steps = f"{count} step{'s' * (count != 1)}"
    if recovered:
        told = trouble.weighing("note")
        told.cause += f"; the GradScaler skipped {steps} and lowered its scale"
        return told
    told = trouble.weighing("trouble")
    told.cause += f"; the loss scale is too high: the GradScaler skipped {steps}"
    return told
