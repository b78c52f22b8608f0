"""`module_db`: every `torch.nn` module, forward and backward, training and evaluating."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from suiren.conformance.alike import must_be_alike
from suiren.conformance.judgement import (
    CheckError,
    Judgement,
    NotOnHostError,
    judged,
    one_line,
    short_name,
)
from suiren.conformance.loading import load
from suiren.conformance.placing import CARD, HOST, placed
from suiren.conformance.trial import SEED, gradients


@cache
def database() -> dict[str, Any]:
    """PyTorch's module tests by name, such as `nn.Linear`."""
    return {info.name: info for info in load("common_modules", "module_db")}


def judgements(name: str, dtypes: tuple[torch.dtype, ...]) -> Iterator[Judgement]:
    """Every input of one module, training and, where it differs, evaluating."""
    info = database()[name]
    for dtype in dtypes:
        if dtype not in info.dtypes and dtype != torch.bfloat16:
            continue
        number = 0
        for training in (True, False) if info.train_and_eval_differ else (True,):
            for given in _inputs(info, dtype, training):

                def check(given: Any = given, training: bool = training) -> None:
                    _trial(info, given, training)

                short = short_name(dtype)
                yield from judged(name, short, number, check)
                number += 1


def _inputs(info: Any, dtype: torch.dtype, training: bool) -> list[Any]:
    torch.manual_seed(SEED)
    return list(
        info.module_inputs_func(
            info, device="cpu", dtype=dtype, requires_grad=True, training=training
        )
    )


def _trial(info: Any, given: Any, training: bool) -> None:
    try:
        host = _run(info, given, training, HOST)
    except Exception as problem:
        raise NotOnHostError from problem
    try:
        card = _run(info, given, training, CARD)
    except Exception as problem:
        raise CheckError("forward", one_line(problem)) from None
    must_be_alike("forward", card[1], host[1])
    try:
        want = gradients(*host)
    except Exception:
        return  # the host has no such gradient
    try:
        got = gradients(*card)
    except Exception as problem:
        raise CheckError("backward", one_line(problem)) from None
    must_be_alike("backward", got, want)


def _run(info: Any, given: Any, training: bool, where: torch.device) -> tuple[Any, Any]:
    """Inputs and parameters that want gradients, and the answer."""
    torch.manual_seed(SEED)
    build, call = given.constructor_input, given.forward_input
    arguments, keywords = placed((build.args, build.kwargs), HOST)
    module = info.module_cls(*arguments, **keywords)
    dtype = next((t.dtype for t in _floats((call.args, call.kwargs))), torch.float32)
    module = module.to(dtype=dtype).to(where).train(training)
    inputs = placed((call.args, call.kwargs), where)
    torch.manual_seed(SEED)
    answer = module(*inputs[0], **inputs[1])
    return (inputs, list(module.parameters())), answer


def _floats(tree: Any) -> list[torch.Tensor]:
    leaves = tree_flatten(tree)[0]
    return [t for t in leaves if isinstance(t, torch.Tensor) and t.is_floating_point()]
