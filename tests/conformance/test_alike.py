"""What counts as the same answer, and what does not."""

from __future__ import annotations

import pytest
import torch

from suiren.conformance.alike import must_be_alike
from suiren.conformance.judgement import CheckError
from suiren.conformance.placing import CARD, HOST, placed


def on_card(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(CARD)


def refused(got: object, want: object, **options: object) -> str:
    with pytest.raises(CheckError) as problem:
        must_be_alike("forward", got, want, **options)
    return problem.value.message


def test_equal_tensors_are_alike() -> None:
    x = torch.randn(3, 4)
    must_be_alike("forward", (on_card(x), 3), (x, 3))


def test_nan_is_alike_nan() -> None:
    x = torch.tensor([1.0, float("nan")])
    must_be_alike("forward", on_card(x), x)


def test_one_wrong_element_is_told() -> None:
    x = torch.randn(50)
    wrong = x.clone()
    wrong[7] += 1e-3
    assert "Mismatched elements: 1 / 50" in refused(on_card(wrong), x)


def test_a_result_on_the_host_has_left_the_card() -> None:
    assert "left the card" in refused(torch.ones(2), torch.ones(2))


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (torch.ones(2, dtype=torch.float64), "float64"),
        (torch.ones(3), "shape (3,)"),
        (torch.ones(2).to_sparse(), "sparse"),
    ],
)
def test_format_shape_and_layout_count(got: torch.Tensor, words: str) -> None:
    assert words in refused(on_card(got), torch.ones(2))


def test_fewer_results_are_told() -> None:
    x = torch.ones(2)
    assert "answered 1 things, the host 2" in refused([on_card(x)], [x, x])


def test_undefined_values_need_only_form() -> None:
    must_be_alike("forward", on_card(torch.zeros(4)), torch.ones(4), values=False)


def test_the_card_may_be_nearer_to_the_truth() -> None:
    exact = torch.tensor([1.0], dtype=torch.float64)
    host, card = torch.tensor([1.1]).half(), torch.tensor([1.001]).half()
    must_be_alike("forward", on_card(card), host, exact=lambda: exact)
    assert "close" in refused(on_card(host), card, exact=lambda: exact)


# ---- laying a sample on the card


def test_placed_tensors_keep_strides_offset_and_sharing() -> None:
    whole = torch.arange(24.0)
    a, b = whole[3:15].view(3, 4).t(), whole[3:15]
    here, there = placed((a, b), CARD)
    assert here.stride() == a.stride()
    assert here.storage_offset() == a.storage_offset()
    there[0] = 99.0
    assert float(here[0, 0]) == 99.0
    assert float(whole[3]) == 3.0


def test_placed_leaves_stay_leaves() -> None:
    x = torch.randn(3, requires_grad=True)
    moved = placed([x * 1, x], CARD)
    assert [t.is_leaf for t in moved] == [True, True]
    assert all(t.requires_grad for t in moved)


def test_conjugated_and_negated_views_keep_their_values() -> None:
    x = torch.randn(3, dtype=torch.complex64)
    for view in (x.conj(), x.conj().imag):
        moved = placed(view, CARD)
        assert torch.equal(moved.cpu(), view)


def test_devices_in_a_sample_move_too() -> None:
    first, second, third = placed((HOST, "cpu", "mean"), CARD)
    assert (first, second, third) == (CARD, CARD, "mean")
