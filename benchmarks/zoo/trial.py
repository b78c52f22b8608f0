"""Tries one architecture: builds it as small as it goes, feeds it, trains it on both sides."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from zoo import step
from zoo.classes import classes_of
from zoo.feed import feeds, with_as_many_marks
from zoo.shrink import RULES, shrunk
from zoo.step import Row, Trained, train

#: A larger model than this is no tiny one: the next set of rules is tried.
MOST_PARAMETERS = 60_000_000
#: After so much processor time no further variant is tried.
PATIENCE_S = 25.0


class Candidate:
    """A class, small enough, with inputs that the host can train on."""

    def __init__(self, model: torch.nn.Module, feed: dict[str, Any], on_host: Trained) -> None:
        self.model, self.feed, self.on_host = model, feed, on_host
        self.size = ""


def configurations(config_class: Any) -> Iterator[tuple[str, Any]]:
    """The architecture's configurations from the smallest on, with the names of their rules."""
    default = config_class()
    for name, rules in RULES.items():
        try:
            fields = shrunk(default.to_dict(), rules)
            config = config_class.from_dict(copy.deepcopy(fields))
        except Exception as problem:
            yield name, problem
            continue
        yield name, config


def _built(cls: Any, config: Any) -> torch.nn.Module:
    with torch.device("meta"):
        size = sum(p.numel() for p in cls(copy.deepcopy(config)).parameters())
    if size > MOST_PARAMETERS:
        raise ValueError(f"{size:,} parameters are too many")
    torch.manual_seed(step.SEED)
    model = cls(copy.deepcopy(config))
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return model


def candidates(kind: str) -> Iterator[Candidate | str]:
    """Models of the architecture that the host can train, best first; else why not."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    begun = time.process_time()
    for cls in classes_of(kind):
        config_class = cls.config_class
        if getattr(config_class, "model_type", None) != kind:
            config_class = CONFIG_MAPPING[kind]
        for size, config in configurations(config_class):
            if time.process_time() - begun > PATIENCE_S:
                return
            if isinstance(config, Exception):
                yield f"{cls.__name__}, {size}: {_short(config)}"
                continue
            for found in _fed(cls, config):
                if isinstance(found, Candidate):
                    found.size = size
                    yield found
                    return
                yield f"{cls.__name__}, {size}: {found}"


def _fed(cls: Any, config: Any) -> Iterator[Candidate | str]:
    try:
        model = _built(cls, config)
        torch.manual_seed(step.SEED)
        tries = feeds(cls, config)
    except Exception as problem:
        yield _short(problem)
        return
    if not tries:
        yield "nothing is known to feed it"
    for feed in tries:
        for _ in range(2):
            try:
                yield Candidate(model, feed, train(model, feed, "cpu", torch.float32))
                return
            except Exception as problem:
                yield _short(problem)
                again = with_as_many_marks(feed, problem, config)
                if again is None:
                    break
                feed = again


def _short(problem: BaseException) -> str:
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text[:200]}"


def tried(kind: str, card_name: str = "t21") -> Row:
    """One step of the architecture on both sides, in this process, which the card then owns."""
    warnings.simplefilter("ignore")
    row = Row(kind)
    why: list[str] = []
    try:
        for found in candidates(kind):
            if isinstance(found, Candidate):
                break
            why.append(found)
        else:
            found = None
    except Exception as problem:  # transformers raises where a library of its choice is missing
        row.reason = _short(problem)
        return row
    if found is not None:
        _describe(row, found)
        _compare(row, found, card_name)
        return row
    row.reason = why[0] if why else "no class of its own"
    return row


def _describe(row: Row, found: Candidate) -> None:
    row.class_name = type(found.model).__name__
    row.size = found.size
    row.inputs = " ".join(sorted(found.feed))
    row.parameters = sum(p.numel() for p in found.model.parameters())
    row.loss, row.own_loss = found.on_host.loss, found.on_host.own_loss


def _compare(row: Row, found: Candidate, card_name: str) -> None:
    from suiren.hw.load import resolve_card
    from suiren.torch import transfer
    from suiren.torch.session import Session

    half = _host_in_bf16(found)
    session = Session(resolve_card(card_name))
    session.begin(tf32="off")
    transfer.install()
    try:
        ours = train(found.model, found.feed, "cuda", torch.float32)
    except Exception as problem:
        row.outcome, row.reason = "fails", _short(problem)
        return
    row.loss_difference = step.relative(ours.loss, found.on_host.loss)
    row.gradient_difference = step.gradients_apart(ours, found.on_host)
    row.outcome = _judged(row.loss_difference, row.gradient_difference, torch.float32)
    _simulate(row, session)
    if isinstance(half, str):
        row.bf16_reason = half
        return
    try:
        ours = train(found.model, found.feed, "cuda", torch.bfloat16)
    except Exception as problem:
        row.bf16_outcome, row.bf16_reason = "fails", _short(problem)
        return
    row.bf16_loss_difference = step.relative(ours.loss, half.loss)
    apart = step.gradients_apart(ours, half)
    row.bf16_outcome = _judged(row.bf16_loss_difference, apart, torch.bfloat16)


def _host_in_bf16(found: Candidate) -> Trained | str:
    try:
        return train(found.model, found.feed, "cpu", torch.bfloat16)
    except Exception as problem:
        return f"on the host too: {_short(problem)}"


def _judged(loss: float, gradients: float, dtype: torch.dtype) -> str:
    close = loss <= step.LOSS_BOUND[dtype] and gradients <= step.GRADIENT_BOUND[dtype]
    return "equal" if close else "differs"


def _simulate(row: Row, session: Any) -> None:
    from suiren.report.answer import answer

    found = answer(session.program(), session.card, advise=False)
    row.approximated_share = found.approximated_share
    row.approximated = {r.name: r.time_s / found.step_time_s for r in found.approximated}
    for hazard in found.hazards:
        row.hazards[hazard.kind] = row.hazards.get(hazard.kind, 0) + hazard.count
