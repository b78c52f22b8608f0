"""The checks find what is wrong with an operator, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from suiren.conformance import modules, operators, optimizers
from suiren.conformance.judgement import FAILED, PASSED, Judgement
from suiren.conformance.loading import load
from suiren.conformance.placing import CARD

F32 = (torch.float32,)


def is_on_card(x: torch.Tensor) -> bool:
    return x.device.type == CARD.type


@dataclass
class Planted:
    """An operator that answers otherwise on the card."""

    on_card: Callable[..., Any]
    on_host: Callable[..., Any] = torch.sin

    def __call__(self, x: torch.Tensor, **keywords: Any) -> Any:
        return (self.on_card if is_on_card(x) else self.on_host)(x, **keywords)


def judge(op: Any, **options: Any) -> list[Judgement]:
    info, sample = load("opinfo.core", "OpInfo"), load("opinfo.core", "SampleInput")

    def samples(_: Any, __: str, ___: Any, requires_grad: bool, **____: Any) -> Any:
        yield sample(torch.linspace(0.1, 1, 6).view(2, 3).requires_grad_(requires_grad))

    made = info("planted", op=op, dtypes=F32, sample_inputs_func=samples, **options)
    return list(operators._samples(made, "planted", torch.float32))


def failed_check(found: list[Judgement]) -> str:
    (judgement,) = found
    assert judgement.state == FAILED, judgement
    return judgement.check


def test_an_honest_operator_passes() -> None:
    (judgement,) = judge(torch.sin)
    assert judgement.state == PASSED


def test_a_wrong_value_fails_forward() -> None:
    assert failed_check(judge(Planted(lambda x, **_: x.sin() + 1e-3), supports_out=False)) == (
        "forward"
    )


def test_an_error_on_the_card_fails_forward() -> None:
    def broken(x: torch.Tensor, **_: Any) -> torch.Tensor:
        raise NotImplementedError("no kernel")

    (judgement,) = judge(Planted(broken), supports_out=False)
    assert (judgement.check, judgement.message) == ("forward", "NotImplementedError: no kernel")


def test_a_wrong_gradient_fails_backward() -> None:
    def sine(x: torch.Tensor, **_: Any) -> torch.Tensor:
        return x.sin().detach() + 2 * (x - x.detach())

    assert failed_check(judge(Planted(sine), supports_out=False)) == "backward"


def test_an_answer_that_ignores_out_fails() -> None:
    def sine(x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return x.sin()

    assert failed_check(judge(Planted(sine))) == "out"


def test_a_copy_instead_of_a_view_fails() -> None:
    views = Planted(lambda x, **_: x.t().clone(), lambda x, **_: x.t())
    (judgement,) = judge(views, supports_out=False)
    assert "copy" in judgement.message


def test_an_operator_that_minds_strides_fails() -> None:
    def sine(x: torch.Tensor, **_: Any) -> torch.Tensor:
        return x.sin() if x.is_contiguous() else x.cos()

    assert failed_check(judge(Planted(sine), supports_out=False)) == "strides"


def test_what_the_host_cannot_do_counts_nowhere() -> None:
    def refuses(x: torch.Tensor, **_: Any) -> torch.Tensor:
        raise RuntimeError("not on the host")

    (judgement,) = judge(Planted(torch.sin, refuses), supports_out=False)
    assert judgement.state == "skipped"


# ---- PyTorch's own samples: families that differ most; the sweep has them all

OPS = """add mul where sum linalg.solve index_put scatter_reduce.amax cat sort
nn.functional.conv2d nn.functional.layer_norm masked_fill fft.rfft view_as_complex
nn.functional.embedding sparse.mm.reduce normal cumsum mode kthvalue addbmm
to_sparse native_dropout_backward histc""".split()


@pytest.mark.parametrize("name", OPS)
def test_samples_of_pytorch(name: str) -> None:
    found = list(operators.judgements(name, (torch.float32, torch.bfloat16)))
    assert [v for v in found if v.state == FAILED] == []
    assert sum(v.state == PASSED for v in found) >= 3


@pytest.mark.parametrize("name", ["nn.Linear", "nn.GRU", "nn.MultiheadAttention", "nn.BatchNorm2d"])
def test_modules_of_pytorch(name: str) -> None:
    found = list(modules.judgements(name, F32))
    assert [v for v in found if v.state == FAILED] == []
    assert any(v.state == PASSED for v in found)


OPTIMIZERS = """ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax LBFGS Muon NAdam RAdam RMSprop
Rprop SGD SparseAdam""".split()


def test_no_optimizer_is_left_out() -> None:
    assert {f"optim.{name}" for name in OPTIMIZERS} == set(optimizers.database())


def test_loading_the_databases_leaves_flags_free() -> None:
    operators.database()
    torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_of_pytorch(name: str) -> None:
    found = list(optimizers.judgements(f"optim.{name}", F32))
    assert [v for v in found if v.state == FAILED] == []
    assert any(v.state == PASSED for v in found)
