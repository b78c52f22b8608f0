"""`op_db`, PyTorch's operator tests, sample by sample on the card and on the host.

The host is the reference: a sample it cannot compute is skipped, one that it can must give
the same on the card: forward, backward, into `out=`, in place, on strided inputs, with other
formats, and for wrong input the same error.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any
from unittest import SkipTest

import torch

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
from suiren.conformance.trial import SEED, Trial

#: Formats beside the asked ones in which the first samples run, forward only.
OTHER_DTYPES = (torch.int64, torch.bool, torch.float16, torch.float64, torch.complex64)
OTHER_SAMPLES = 6
SPARSE_SAMPLES = 60
LAYOUTS = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr)


@cache
def database() -> dict[str, Any]:
    """PyTorch's operator tests by name; a variant's name follows a dot."""
    return {name_of(op): op for op in load("common_methods_invocations", "op_db")}


def name_of(op: Any) -> str:
    """`linalg.norm`, `add`, `sum_to_size`, `nn.functional.pad.circular`."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def judgements(name: str, dtypes: tuple[torch.dtype, ...]) -> Iterator[Judgement]:
    """Every sample of one operator in the given formats, then other formats, then wrong input."""
    op = database()[name]
    for dtype in dtypes:
        if op.supports_dtype(dtype, "cpu"):
            yield from _samples(op, name, dtype)
    for dtype in OTHER_DTYPES:
        if dtype not in dtypes and op.supports_dtype(dtype, "cpu"):
            yield from _other(op, name, dtype)
    for layout in LAYOUTS:
        if op.supports_sparse_layout(layout):
            yield from _sparse(op, name, layout)
    yield from _errors(op, name)


def _drawn(op: Any, dtype: torch.dtype, grad: bool) -> Iterator[Any]:
    torch.manual_seed(SEED)
    return iter(op.sample_inputs("cpu", dtype, requires_grad=grad))


def _samples(op: Any, name: str, dtype: torch.dtype) -> Iterator[Judgement]:
    grad = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
    for number, sample in enumerate(_drawn(op, dtype, grad)):
        yield from judged(name, short_name(dtype), number, Trial(op, name, sample, grad).everything)


def _other(op: Any, name: str, dtype: torch.dtype) -> Iterator[Judgement]:
    for number, sample in enumerate(islice(_drawn(op, dtype, False), OTHER_SAMPLES)):
        yield from judged(
            name, short_name(dtype), number, Trial(op, name, sample, False).in_other_format
        )


def _sparse(op: Any, name: str, layout: torch.layout) -> Iterator[Judgement]:
    """Samples of a sparse layout in FP32, forward only: PyTorch's list has no gradients for it."""
    for number, sample in enumerate(islice(_drawn_sparse(op, layout), SPARSE_SAMPLES)):
        trial = Trial(op, name, sample, False)
        yield from judged(name, short_name(layout), number, trial.in_other_format)


def _drawn_sparse(op: Any, layout: torch.layout) -> Iterator[Any]:
    """The list's own sparse samples; where it has none, its matrices made sparse."""
    torch.manual_seed(SEED)
    try:
        yield from op.sample_inputs_sparse(layout, "cpu", torch.float32, requires_grad=False)
    except (NotImplementedError, SkipTest):
        for sample in _drawn(op, torch.float32, False):
            if isinstance(sample.input, torch.Tensor) and sample.input.dim() == 2:
                sample.input = _made_sparse(sample.input, layout)
                yield sample


def _made_sparse(matrix: torch.Tensor, layout: torch.layout) -> torch.Tensor:
    if layout == torch.sparse_bsr:
        return matrix.relu().to_sparse(layout=layout, blocksize=(1, 1))
    return matrix.relu().to_sparse(layout=layout)


def _errors(op: Any, name: str) -> Iterator[Judgement]:
    if op.error_inputs_func is None:
        return
    torch.manual_seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = list(op.error_inputs("cpu"))
    for number, error in enumerate(wrong):

        def check(error: Any = error) -> None:
            _must_refuse(op, error)

        yield from judged(name, "error", number, check)


def _must_refuse(op: Any, error: Any) -> None:
    sample = error.sample_input
    kinds: dict[str, BaseException | None] = {}
    for where in (HOST, CARD):
        first, rest, keywords = placed((sample.input, sample.args, sample.kwargs), where)
        try:
            op(first, *rest, **keywords)
            kinds[where.type] = None
        except Exception as problem:
            kinds[where.type] = problem
    host, card = kinds[HOST.type], kinds[CARD.type]
    if host is None:
        raise NotOnHostError
    if card is None:
        raise CheckError("error", f"was accepted; the host refuses it: {one_line(host)}")
    if not isinstance(card, (type(host), error.error_type)):
        raise CheckError("error", f"raised {one_line(card)}; the host {one_line(host)}")
