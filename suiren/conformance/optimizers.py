"""`optim_db`: three steps of every optimizer, plain, foreach, fused and capturable."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch

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
from suiren.conformance.trial import SEED

STEPS = 3
_SHAPES = ((5, 7), (7, 3))


@cache
def database() -> dict[str, Any]:
    """PyTorch's optimizer tests by name, such as `optim.AdamW`."""
    return {
        f"optim.{info.optim_cls.__name__}": info for info in load("common_optimizers", "optim_db")
    }


def judgements(name: str, dtypes: tuple[torch.dtype, ...]) -> Iterator[Judgement]:
    """Every configuration of one optimizer, in every implementation that it offers."""
    info = database()[name]
    for dtype in dtypes:
        for number, keywords in enumerate(_configurations(info)):

            def check(keywords: Any = keywords, dtype: torch.dtype = dtype) -> None:
                _trial(info, keywords, dtype)

            yield from judged(name, short_name(dtype), number, check)


def _configurations(info: Any) -> Iterator[dict[str, Any]]:
    """Keywords of `optim_db` as on CUDA, each with every implementation."""
    for given in info.optim_inputs_func("cuda"):
        yield dict(given.kwargs)
        for implementation in info.supported_impls:
            if implementation != "differentiable" and implementation not in given.kwargs:
                yield {**given.kwargs, implementation: True}


def _trial(info: Any, keywords: dict[str, Any], dtype: torch.dtype) -> None:
    want = _on_host(info, keywords, dtype)
    try:
        got = _steps(info, keywords, dtype, CARD)
    except Exception as problem:
        raise CheckError("forward", one_line(problem)) from None
    must_be_alike("forward", got, want)


def _on_host(info: Any, keywords: dict[str, Any], dtype: torch.dtype) -> list[torch.Tensor]:
    """The host's steps in the same implementation, or in the plain one where it has none."""
    implementations = ("capturable", "foreach", "fused")
    plain = {k: v for k, v in keywords.items() if k not in implementations}
    for like in ({k: v for k, v in keywords.items() if k != "capturable"}, plain):
        try:
            return _steps(info, like, dtype, HOST)
        except Exception as problem:
            last = problem
    raise NotOnHostError from last


def _steps(
    info: Any, keywords: dict[str, Any], dtype: torch.dtype, where: torch.device
) -> list[torch.Tensor]:
    """The parameters after some steps on gradients that are the same everywhere."""
    torch.manual_seed(SEED)
    start = [torch.randn(shape).to(dtype) for shape in _SHAPES]
    sparse = info.only_supports_sparse_grads
    parameters = [torch.nn.Parameter(t) for t in placed(start, where)]
    moved = placed(keywords, where) if keywords.get("capturable") else keywords
    optimizer = info.optim_cls(parameters, **moved)
    for _ in range(STEPS):
        gradients = placed([torch.randn(shape).to(dtype) for shape in _SHAPES], where)

        def closure(gradients: Any = gradients) -> torch.Tensor:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.to_sparse() if sparse else gradient.clone()
            loss: torch.Tensor = sum(p.detach().float().square().sum() for p in parameters)  # type: ignore[assignment]
            return loss

        closure()
        optimizer.step(closure if info.step_requires_closure else None)
    return [p.detach() for p in parameters]
