"""The run itself: every op on the card is run, run again in better formats, and judged.

Three values of each result are set side by side. D is the card's. L is the same op in float64
on the card's inputs: D off L is this op's own doing. S is the op on the shadows of its inputs:
what the other run would have. Beside them the exact value E carries a sum or an expression on
without rounding. Integers, branches and random numbers are the card's in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from suiren.numerics import chains, inherit
from suiren.numerics.against import FP32, Against
from suiren.numerics.engine import Engine
from suiren.numerics.explain import UNIT, UNIT_NAMES
from suiren.numerics.host import Table, is_card, on_host, write
from suiren.numerics.judge import Result, judge
from suiren.numerics.losing import Scaling
from suiren.numerics.parting import Parting
from suiren.numerics.place import Place, Places
from suiren.numerics.special import run_wide
from suiren.numerics.trouble import Trouble, format_name, statistics
from suiren.numerics.values import LARGE_FLOP, OPERANDS, Given, flop, in_tf32
from suiren.numerics.wide import Asked, kind_of, results_of, tensors_in


@dataclass
class Watched:
    """What a run has shown so far."""

    troubles: list[Trouble] = field(default_factory=list)
    parting: Parting = field(default_factory=Parting)
    num_ops: int = 0
    nan_steps: set[int] = field(default_factory=set)
    """Steps in whose backward or optimizer a NaN was."""
    unwatched: Counter[str] = field(default_factory=Counter)
    """Ops that could not be run again; the card's values stand for theirs."""
    why_unwatched: dict[str, str] = field(default_factory=dict)


class Lockstep(TorchDispatchMode):
    """While it is entered, every op on the card is run in lock-step."""

    def __init__(
        self,
        against: Against = FP32,
        places: Places | None = None,
        on_trouble: Callable[[Trouble], None] = lambda _: None,
        engine: Engine | None = None,
    ) -> None:
        super().__init__()
        self.against = against
        self.places = places or Places()
        self.table = Table()
        self.given = Given(self.table, against)
        self.seen = Watched()
        self.scaling = Scaling()
        self.on_trouble = on_trouble
        self.engine = engine
        """Replaces the card's products, where the chip's own order of sums is asked for."""
        other = against.card if engine is not None else None
        self.other_engine = Engine(other) if other is not None else None
        self._known: dict[Any, Trouble] = {}

    def __torch_dispatch__(
        self, op: OpOverload, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Runs one op and judges it."""
        kwargs = kwargs or {}
        kind = kind_of(op)
        if kind.is_view or kind.base == "local_scalar_dense":
            return op(*args, **kwargs)
        asked = Asked(op, kind, args, kwargs)
        cards = [t for t in tensors_in([*args, *kwargs.values()]) if is_card(t)]
        before = self._before(asked)
        result = op(*args, **kwargs)
        if not cards and not any(is_card(t) for t in tensors_in(result)):
            return result
        place = self.places.here(kind.name, not any(t.is_floating_point() for t in cards))
        if not any(is_card(t) for t in results_of(asked, result, None)):
            return result
        self.table.sweep()
        self.seen.num_ops += 1
        if self.engine is not None and kind.base in OPERANDS:
            self.engine(asked, result)
        try:
            self._compare(asked, result, place, before)
        except Exception as problem:  # whatever a reference run cannot do, the script goes on
            self._lose(asked, result, place, problem)
        return result

    def _lose(self, asked: Asked, result: Any, place: Place, problem: Exception) -> None:
        name = asked.kind.name
        self.seen.unwatched[name] += 1
        self.seen.why_unwatched.setdefault(name, f"{type(problem).__name__}: {problem}"[:300])
        for tensor in results_of(asked, result, None):
            if is_card(tensor):
                held = self.table.make(tensor)
                held.shadow = held.exact = held.chain = None
                held.maker = place

    # ---- before the op

    def _before(self, asked: Asked) -> dict[int, torch.Tensor]:
        """Values that the op is about to write over, and the shadows it will write to."""
        kept = {}
        for tensor in asked.written():
            host = on_host(tensor)
            if not asked.kind.overwrites:
                kept[id(tensor)] = host.clone()
            held = self.table.make(tensor)
            wide = self.given.wide_of(tensor)
            if held.shadow is None or held.shadow.seen_as(tensor) is None:
                held.shadow = write(None, tensor, host, wide)
            if held.exact is None or held.exact.seen_as(tensor) is None:
                held.exact = write(None, tensor, host, torch.float64)
                held.error = 0.0
        return kept

    # ---- after the op

    def _compare(
        self, asked: Asked, result: Any, place: Place, before: dict[int, torch.Tensor]
    ) -> None:
        tensors = results_of(asked, result, None)
        floats = [i for i, t in enumerate(tensors) if is_card(t) and t.is_floating_point()]
        line = (place.file, place.line)
        for tensor in asked.inputs():
            held = self.table.of(tensor) if is_card(tensor) else None
            if held is not None:
                held.readers.add(line)
        if not floats:
            return
        tf32 = in_tf32(asked)
        wide = torch.float32 if flop(asked, tensors) > LARGE_FLOP else torch.float64
        local = self._run(asked, result, wide, self.given.locally(asked, before, wide))
        shadows = self.given.shadows(asked, tf32)
        shadow = self._run(asked, result, self.against.wide, shadows)
        if self.other_engine is not None and shadow is not None:
            summed = self.other_engine.shadow(asked, shadows)
            shadow = shadow if summed is None else [summed]
        sums = chains.partial_sum(asked, self.table, place)
        scope = self._scope(place)
        exact = local if wide == torch.float32 else self._run(
            asked, result, torch.float64, self.given.exactly(asked, scope, sums))  # fmt: skip
        for i in floats:
            one = Result(i, tensors[i], self._double(local, i))
            found = judge(asked, one, place, self.table, self.seen.num_ops, tf32, before)
            if found is not None:
                self._tell(found)
        for i in floats:
            self._carry(asked, tensors[i], i, place, (shadow, exact), sums, scope)

    @staticmethod
    def _double(values: list[Any] | None, index: int) -> torch.Tensor | None:
        return values[index].double() if values is not None and index < len(values) else None

    def _run(
        self, asked: Asked, result: Any, wide: torch.dtype, value_of: Callable[..., Any]
    ) -> list[Any] | None:
        ran = run_wide(asked, value_of, wide, result)
        if ran is None or (not asked.inputs() and not asked.written()):
            return None
        return results_of(asked, *ran)  # type: ignore[no-any-return]

    def _carry(
        self, asked: Asked, tensor: torch.Tensor, i: int, place: Place,
        ran: tuple[list[Any] | None, list[Any] | None],
        sums: torch.Tensor | None, scope: tuple[object, ...],
    ) -> None:  # fmt: skip
        """What stands beside the result from now on."""
        shadow, exact = ran
        card = on_host(tensor)
        holder = self.table.of(sums) if sums is not None else None
        operands = inherit.operands(self.table, asked, scope, sums)
        chain = chains.grown(asked, holder, place, tensor.dtype)
        held = self.table.make(tensor)
        s = shadow[i] if shadow is not None and i < len(shadow) else card
        if s.shape != card.shape:
            s = card
        s = self.against.rounded(s, tensor.dtype)
        held.shadow = write(held.shadow, tensor, s, self.given.wide_of(tensor))
        e = exact[i] if exact is not None and i < len(exact) else card
        if e.shape != card.shape:
            e = card
        held.exact = write(held.exact, tensor, e, torch.float64)
        held.maker = inherit.made(self.table, asked) or place
        held.scope, held.chain = scope, chain
        held.readers = set()
        is_update = place.phase in ("backward", "optimizer") and not self.scaling.is_scaled
        if is_update and bool(card.isnan().any()):
            self.seen.nan_steps.add(place.step)
        if tensor.dtype not in UNIT or not tensor.numel():
            return
        held.unit = max(held.unit, inherit.coarsest(self.table, asked, tensor.dtype))
        error, size = chains.off_by(card, e.double())
        held.is_noise, held.norm = inherit.is_noise(self.table, asked, i, size, held.unit), size
        held.apart = 0.0 if held.is_noise else self.seen.parting.note(
            place, card, s, tensor.dtype, held.unit, inherit.apart(self.table, asked)
        )  # fmt: skip
        held.error = error if error == error else 0.0
        lost = chains.lost(asked, tensor.dtype, held.error, size, chain, operands)
        if lost is not None:
            self._lost(lost, asked, tensor, place)

    def _lost(self, lost: chains.Lost, asked: Asked, tensor: torch.Tensor, place: Place) -> None:
        what, name = lost.what, UNIT_NAMES.get(lost.unit, format_name(tensor.dtype))
        quiet = what == "cancellation" and place.phase == "backward"
        trouble = Trouble(
            what, place, lost.words(name), "note" if quiet else "trouble", name,
            self.seen.num_ops, chain=lost.length,
            error={"relative": lost.error, "units": lost.error / lost.unit,
                   "condition": lost.condition},
        )  # fmt: skip
        if (what, place.key) not in self._known:
            inputs = [statistics(t, f"input {i}") for i, t in enumerate(asked.inputs()[:4])]
            trouble.tensors = [*inputs, statistics(tensor, "result")]
        self._tell(trouble)

    def _tell(self, found: Trouble) -> None:
        found.last_step = found.place.step
        if found.what in ("nan", "infinity", "overflow") and self.scaling.is_scaled:
            found.scaled = True
            found.weight = "pending"
        known = self._known.get((found.what, found.place.key))
        if known is not None:
            known.times += 1
            known.last_step = found.place.step
            if found.chain > known.chain or found.error.get("relative", 0) > known.error.get(
                "relative", 0
            ):
                known.chain, known.error, known.cause = found.chain, found.error, found.cause
            if found.weight == "trouble" and known.weight != "trouble":
                known.weight = "trouble"
            return
        self._known[(found.what, found.place.key)] = found
        self.seen.troubles.append(found)
        self.on_trouble(found)

    # ---- what an op is

    def _scope(self, place: Place) -> tuple[object, ...]:
        if place.phase == "backward":
            return (place.step, "backward", place.node, place.module, place.line)
        if place.phase == "optimizer":
            return (place.step, "optimizer")
        calls = self.places.calls
        return (place.step, place.phase, calls[-1] if calls else 0)
