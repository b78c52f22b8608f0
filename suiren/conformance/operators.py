"""`op_db`, PyTorch's operator tests, sample by sample on the card and on the host.

The host is the reference: a sample it cannot compute is skipped, one that it can must give
the same on the card: forward, backward, into `out=`, in place, on strided inputs, with other
formats, and for wrong input the same error.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any
from unittest import SkipTest

import torch
from torch.utils._pytree import tree_flatten, tree_map

from suiren.conformance.alike import must_be_alike
from suiren.conformance.placing import CARD, HOST, placed
from suiren.conformance.verdict import CheckError, NotOnHostError, Verdict, judged, one_line

SEED = 20
#: Formats beside the asked ones in which the first samples run, forward only.
OTHER_DTYPES = (torch.int64, torch.bool, torch.float16, torch.float64, torch.complex64)
OTHER_SAMPLES = 6
SPARSE_SAMPLES = 60
LAYOUTS = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr)
#: Ops whose values nothing defines.
_UNDEFINED = frozenset(
    "empty empty_like empty_permuted empty_strided new_empty new_empty_strided "
    "resize_ resize_as_".split()
)


@cache
def database() -> dict[str, Any]:
    """PyTorch's operator tests by name; a variant's name follows a dot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {name_of(op): op for op in op_db}


def name_of(op: Any) -> str:
    """`linalg.norm`, `add`, `sum_to_size`, `nn.functional.pad.circular`."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def verdicts(name: str, dtypes: tuple[torch.dtype, ...]) -> Iterator[Verdict]:
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


def _samples(op: Any, name: str, dtype: torch.dtype) -> Iterator[Verdict]:
    grad = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
    for number, sample in enumerate(_drawn(op, dtype, grad)):
        yield from judged(name, _short(dtype), number, _Trial(op, name, sample, grad).everything)


def _other(op: Any, name: str, dtype: torch.dtype) -> Iterator[Verdict]:
    for number, sample in enumerate(islice(_drawn(op, dtype, False), OTHER_SAMPLES)):
        yield from judged(
            name, _short(dtype), number, _Trial(op, name, sample, False).in_other_format
        )


def _sparse(op: Any, name: str, layout: torch.layout) -> Iterator[Verdict]:
    """Samples of a sparse layout in FP32, forward only: PyTorch's list has no gradients for it."""
    for number, sample in enumerate(islice(_drawn_sparse(op, layout), SPARSE_SAMPLES)):
        trial = _Trial(op, name, sample, False)
        yield from judged(name, _short(layout), number, trial.in_other_format)


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


def _short(dtype: torch.dtype | torch.layout) -> str:
    return str(dtype).removeprefix("torch.")


class _Trial:
    """One sample of one operator: each method raises CheckError where card and host differ."""

    def __init__(self, op: Any, name: str, sample: Any, grad: bool) -> None:
        self.op, self.name, self.sample, self.grad = op, name, sample, grad
        self.values = op.name not in _UNDEFINED

    def everything(self) -> None:
        host, want = self._run(HOST, self.sample)
        card, got = self._run(CARD, self.sample)
        must_be_alike("forward", got, want, self.values, self._exact)
        _shares_as_on_host(got, card, want, host)
        if self.grad:
            self._backward(card, got, host, want)
        if self.op.supports_out:
            self._out(want)
        self._in_place()
        self._strides()

    def in_other_format(self) -> None:
        _, want = self._run(HOST, self.sample)
        _, got = self._run(CARD, self.sample)
        must_be_alike("promotion", got, want, self.values, self._exact)

    def _exact(self) -> Any:
        """The answer of the host in FP64; the host's own where it has none."""
        try:
            return self._run(HOST, self.sample.transform(_in_f64))[1]
        except NotOnHostError:
            return self._run(HOST, self.sample)[1]

    def _exact_gradients(self) -> Any:
        sample = self.sample.transform(_in_f64)
        inputs, answer = self._run(HOST, sample)
        return gradients(inputs, sample.output_process_fn_grad(answer))

    def _run(
        self, where: torch.device, sample: Any, call: Callable[..., Any] | None = None, **more: Any
    ) -> tuple[Any, Any]:
        """The placed inputs and the answer."""
        inputs = placed((sample.input, sample.args, sample.kwargs), where)
        first, rest, keywords = inputs
        torch.manual_seed(SEED)
        try:
            answer = (call or self.op)(first, *rest, **keywords, **more)
            if where == CARD and not _names_a_device(inputs):
                answer = _mapped(answer, lambda t: t.to(CARD))
            return inputs, answer
        except Exception as problem:
            if where == HOST:
                raise NotOnHostError from problem
            raise CheckError("forward", one_line(problem)) from None

    def _backward(self, card: Any, got: Any, host: Any, want: Any) -> None:
        process = self.sample.output_process_fn_grad
        try:
            theirs = gradients(host, process(want))
        except Exception:
            return  # the host has no such gradient
        try:
            mine = gradients(card, process(got))
        except Exception as problem:
            raise CheckError("backward", one_line(problem)) from None
        must_be_alike("backward", mine, theirs, exact=self._exact_gradients)

    def _out(self, want: Any) -> None:
        leaves, _ = tree_flatten(want)
        if not leaves or not all(isinstance(x, torch.Tensor) for x in leaves):
            return
        sample = _without_grad(self.sample)
        for fresh in (_zeros, _empty_and_small):
            try:
                _, theirs = self._run(HOST, sample, out=_mapped(want, fresh))
            except NotOnHostError:
                continue
            out = placed(_mapped(want, fresh), CARD)
            try:
                _, mine = self._run(CARD, sample, out=out)
            except CheckError as problem:
                raise CheckError("out", problem.message) from None
            must_be_alike("out", mine, theirs, self.values)
            must_be_alike("out", out, theirs, self.values)

    def _in_place(self) -> None:
        call = self.op.get_inplace()
        if call is None or self.sample.broadcasts_input or not self.op.inplace_variant:
            return
        sample = _without_grad(self.sample)
        try:
            host, _ = self._run(HOST, sample, call)
        except NotOnHostError:
            return
        try:
            card, _ = self._run(CARD, sample, call)
        except CheckError as problem:
            raise CheckError("in-place", problem.message) from None
        must_be_alike("in-place", card[0], host[0], self.values)

    def _strides(self) -> None:
        try:
            sample = _without_grad(self.sample.noncontiguous())
            _, want = self._run(HOST, sample)
        except Exception:
            return
        try:
            _, got = self._run(CARD, sample)
        except CheckError as problem:
            raise CheckError("strides", problem.message) from None
        must_be_alike("strides", got, want, self.values, self._exact)


def _zeros(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor.detach())


def _empty_and_small(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().new_empty(0)


def _mapped(tree: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return tree_map(lambda x: change(x) if isinstance(x, torch.Tensor) else x, tree)


def _in_f64(thing: Any) -> Any:
    if isinstance(thing, torch.Tensor) and thing.is_floating_point():
        return thing.detach().double().requires_grad_(thing.requires_grad)
    return torch.float64 if isinstance(thing, torch.dtype) and thing.is_floating_point else thing


def _names_a_device(inputs: Any) -> bool:
    """Do the inputs say where the answer lives? A factory without a device answers on the host."""
    leaves = tree_flatten(inputs)[0]
    return any(isinstance(x, (torch.Tensor, torch.device)) and _is_card(x) for x in leaves)


def _is_card(thing: torch.Tensor | torch.device) -> bool:
    where = thing.device if isinstance(thing, torch.Tensor) else thing
    return where.type == CARD.type


def _without_grad(sample: Any) -> Any:
    return sample.transform(lambda x: x.detach() if isinstance(x, torch.Tensor) else x)


def gradients(inputs: Any, answer: Any) -> list[torch.Tensor | None]:
    """Gradients of a fixed weighing of the answer, for every input that requires one."""
    leaves = [t for t in tree_flatten(inputs)[0] if isinstance(t, torch.Tensor) and t.requires_grad]
    answers = [
        t for t in tree_flatten(answer)[0] if isinstance(t, torch.Tensor) and t.requires_grad
    ]
    if not leaves or not answers:
        raise LookupError("nothing to differentiate")
    weights = [_weight(t) for t in answers]
    return list(torch.autograd.grad(answers, leaves, weights, allow_unused=True))


def _weight(tensor: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(SEED)
    real = torch.rand(tensor.shape, generator=generator) + 0.5
    return real.to(tensor.dtype).to(tensor.device)


def _shares_as_on_host(got: Any, card: Any, want: Any, host: Any) -> None:
    """A view on the host is a view on the card: it shares its input's storage."""
    mine, theirs = tree_flatten(got)[0], tree_flatten(want)[0]
    if not isinstance(host[0], torch.Tensor) or host[0].layout != torch.strided:
        return
    for a, b in zip(mine, theirs, strict=True):
        if not isinstance(b, torch.Tensor) or b.layout != torch.strided or b.numel() == 0:
            continue
        if _shares(b, host[0]) and not _shares(a, card[0]):
            raise CheckError("forward", "answered a copy where the host answers a view")


def _shares(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _errors(op: Any, name: str) -> Iterator[Verdict]:
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
