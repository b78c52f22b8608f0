"""A script in lock-step: the session, the watchers and what came out."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from suiren.hw.spec import Card
from suiren.numerics.against import Against
from suiren.numerics.engine import Engine
from suiren.numerics.fix import Fix, applied
from suiren.numerics.host import is_card, on_host
from suiren.numerics.lockstep import Lockstep, Watched
from suiren.numerics.losing import Loss, Scaling, watch_backward, watch_scaler
from suiren.numerics.place import Places, watch_modules
from suiren.numerics.trouble import Trouble
from suiren.numerics.verdict import decide
from suiren.torch.runner import EnoughSteps, How, Outcome, run_script
from suiren.torch.session import Session


@dataclass(frozen=True)
class Ways:
    """How to run in lock-step."""

    until_nan: bool = False
    max_steps: int = 10
    accumulate: str = "host"
    """`host`: products are summed as the host does; `chip`: in the chip's order and width."""
    fix: Fix | None = None
    tf32: str = "auto"
    seed: int | None = None


@dataclass
class Found:
    """What a run in lock-step has shown."""

    card: Card
    against: Against
    script: str
    outcome: Outcome
    seen: Watched
    scaling: Scaling
    losses: list[Loss]
    num_steps: int
    findings: list[Trouble] = field(default_factory=list)
    """Trouble first, then notes, each in the order of the run."""
    stopped: bool = False
    """The run ended at its first NaN, as was asked."""
    held_bytes: int = 0
    """Most bytes that the values of the other runs took."""

    @property
    def troubles(self) -> list[Trouble]:
        """The findings that are trouble."""
        return [t for t in self.findings if t.weight == "trouble"]


class Run:
    """One run of a script in lock-step."""

    def __init__(
        self, card: Card, against: Against, ways: Ways, session: Session | None = None
    ) -> None:
        self.session = session or Session(card)
        self.ways = ways
        self.places = Places()
        engine = Engine(card) if ways.accumulate == "chip" else None
        self.mode = Lockstep(against, self.places, self._heard, engine)
        self.losses: list[Loss] = []
        self.stopped = False
        self.held_bytes = 0
        self._stop_at_step = False

    def script(self, script: Path, arguments: Sequence[str]) -> Found:
        """Runs it."""
        how = How(tf32=self.ways.tf32, seed=self.ways.seed)
        outcome = run_script(script, arguments, self.session, how, self.watching)
        if self.stopped:
            outcome = Outcome(outcome.program, 0, "finished")
        seen, scaling = self.mode.seen, self.mode.scaling
        steps = self.places.step
        return Found(
            card=self.session.card,
            against=self.mode.against,
            script=script.name,
            outcome=outcome,
            seen=seen,
            scaling=scaling,
            losses=self.losses,
            num_steps=steps,
            findings=self.findings(),
            stopped=self.stopped,
            held_bytes=max(self.held_bytes, self.mode.table.size_bytes()),
        )

    def findings(self) -> list[Trouble]:
        """What was found so far, trouble first."""
        scaling = self.mode.scaling
        seen = self.mode.seen
        return decide(seen.troubles, self.losses, scaling, self.places.step, seen.nan_steps)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """What surrounds a script on a session that began: watchers, a fix, the mode itself."""
        on_step = self.session.on_step

        def stepped(count: int) -> None:
            on_step(self.places.step + 1)
            self._step_ended()

        self.session.on_step = stepped
        hooks = _watch_optimizers(self.places)
        stops = [
            watch_modules(self.places),
            watch_scaler(
                self.mode.scaling, lambda: self.places.step, self._step_ended, self._loss
            ),
            watch_backward(self._root),
            _without_compiling(),
        ]
        try:
            with applied(self.ways.fix, self.places), self.mode:
                yield
        finally:
            for stop in reversed(stops):
                stop()
            for hook in hooks:
                hook.remove()
            self.session.on_step = on_step

    def _step_ended(self) -> None:
        self.places.step += 1
        self.held_bytes = max(self.held_bytes, self.mode.table.size_bytes())
        if self._stop_at_step and any(t.weight == "trouble" for t in self.findings()):
            self.stopped = True
            raise EnoughSteps
        if self.places.step >= self.ways.max_steps:
            raise EnoughSteps

    def _heard(self, trouble: Trouble) -> None:
        if not self.ways.until_nan or trouble.scaled:
            return
        if trouble.what == "nan" and trouble.weight == "trouble":
            self._stop_at_step = True
        if trouble.what in ("overflow", "infinity"):
            self._stop_at_step = True

    def _root(self, root: torch.Tensor) -> None:
        if not self.mode.scaling.is_scaled:
            self._loss(root)
        if self._stop_at_step and not bool(torch.isfinite(on_host(root)).all()):
            self.stopped = True
            raise EnoughSteps

    def _loss(self, root: torch.Tensor) -> None:
        if not is_card(root):
            return
        step = self.places.step
        if self.losses and self.losses[-1].step == step:
            return
        held = self.mode.table.of(root)
        seen = held.shadow.seen_as(root) if held is not None and held.shadow else None
        card = float(on_host(root))
        shadow = float(seen) if seen is not None else math.nan
        self.losses.append(Loss(step, card, shadow))


def _without_compiling() -> Callable[[], None]:
    """Compiled graphs run op by op: their values are those of eager mode bit for bit."""
    original = torch.compile

    def compile_(model: Any = None, **_: Any) -> Any:
        return model if model is not None else lambda function: function

    torch.compile = compile_

    def stop() -> None:
        torch.compile = original

    return stop


def _watch_optimizers(places: Places) -> list[Any]:
    from torch.optim.optimizer import (
        register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook,
    )

    def before(*_: Any) -> None:
        places.in_optimizer = True

    def after(*_: Any) -> None:
        places.in_optimizer = False

    return [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
