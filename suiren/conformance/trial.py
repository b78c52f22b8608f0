"""One sample of one operator, on the host and on the card, check by check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map

from suiren.conformance.alike import must_be_alike
from suiren.conformance.judgement import CheckError, NotOnHostError, one_line
from suiren.conformance.placing import CARD, HOST, placed

SEED = 20
ATTENTION = "nn.functional.scaled_dot_product_attention"
#: Ops whose values nothing defines.
_UNDEFINED = frozenset(
    "empty empty_like empty_permuted empty_strided new_empty new_empty_strided "
    "resize_ resize_as_".split()
)


class Trial:
    """One sample of one operator: each method raises CheckError where card and host differ."""

    def __init__(self, op: Any, name: str, sample: Any, grad: bool) -> None:
        self.op, self.name, self.sample, self.grad = op, name, sample, grad
        # fused attention draws its own dropout mask, as CUDA's kernels do
        drawn = op.name == ATTENTION and sample.kwargs.get("dropout_p", 0.0) > 0
        self.values = op.name not in _UNDEFINED and not drawn

    def everything(self) -> None:
        """Every check that applies; raises CheckError at the first that does not hold."""
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
        """The answer alone."""
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
        must_be_alike("backward", mine, theirs, self.values, self._exact_gradients)

    def _out(self, want: Any) -> None:
        leaves, _ = tree_flatten(want)
        if not leaves or not all(isinstance(x, torch.Tensor) for x in leaves):
            return
        sample = _without_grad(self.sample)
        for fresh in (_zeros, _empty_and_small):
            try:
                host = _mapped(want, fresh)
                _, theirs = self._run(HOST, sample, out=host)
            except (NotOnHostError, RuntimeError):
                continue  # some layouts cannot be empty
            out = placed(_mapped(want, fresh), CARD)
            try:
                _, mine = self._run(CARD, sample, out=out)
            except CheckError as problem:
                raise CheckError("out", problem.message) from None
            must_be_alike("out", mine, theirs, self.values)
            must_be_alike("out", out, host, self.values)

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
