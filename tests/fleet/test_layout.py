"""Layouts: what cannot be is one sentence with the numbers; stages and groups."""

from __future__ import annotations

import pytest

from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.models import find_model

GPT, MIXTRAL = find_model("gpt3-175b"), find_model("mixtral-8x7b")


@pytest.mark.parametrize(("sizes", "told"), [
    ({"tp": 0}, "tp is 0; the least is 1"),
    ({"tp": 8, "pp": 16, "dp": 16}, "needs 2048 ranks, the cluster has 1024"),
    ({"dp": 7}, "global batch 1536 is no multiple of dp 7 x micro-batch 1"),
    ({"tp": 5}, "96 heads cannot be split over tp 5"),
    ({"pp": 128}, "pp 128 x vpp 1 needs as many layers, the model has 96"),
    ({"vpp": 2}, "vpp 2 needs a pipeline"),
    ({"pp": 16, "vpp": 2, "dp": 8, "micro_batch": 8}, "multiples of pp 16, the step has 24"),
    ({"ep": 2}, "0 experts cannot be split over ep 2"),
    ({"cp": 3}, "2048 tokens cannot be split over cp 3"),
    ({"zero": 2, "pp": 2}, "zero 2 shares gradients, which a pipeline of 2 keeps whole"),
])  # fmt: skip
def test_impossible_layouts_are_refused_with_the_numbers(
    sizes: dict[str, int], told: str
) -> None:
    with pytest.raises(BadLayout, match=f"impossible layout: .*{told}"):
        Layout(global_batch=1536, **sizes).check(GPT, 1024)  # type: ignore[arg-type]


def test_experts_need_ranks_that_they_divide() -> None:
    Layout(global_batch=8, dp=8, ep=8).check(MIXTRAL, 8)
    with pytest.raises(BadLayout, match="ep 8 does not divide tp 1 x cp 1 x dp 4"):
        Layout(global_batch=8, dp=4, ep=8).check(MIXTRAL, 8)


@pytest.mark.parametrize(("layers", "pp", "vpp"), [(96, 16, 1), (96, 16, 3), (61, 8, 1),
                                                   (126, 16, 2), (105, 35, 3)])  # fmt: skip
def test_every_layer_has_a_stage(layers: int, pp: int, vpp: int) -> None:
    model = find_model("gpt3-175b").__class__(**{**vars_of(GPT), "layers": layers})
    stages = Layout(global_batch=1, pp=pp, vpp=vpp).stage_layers(model)
    assert [len(s) for s in stages] == [vpp] * pp
    assert sum(map(sum, stages)) == layers
    assert max(map(max, stages)) - min(map(min, stages)) <= 1


def vars_of(model: object) -> dict[str, object]:
    return {n: getattr(model, n) for n in model.__dataclass_fields__}  # type: ignore[attr-defined]


def test_given_ends_keep_their_layers() -> None:
    layout = Layout(global_batch=1, pp=4, first_stage_layers=21, last_stage_layers=15)
    assert [sum(s) for s in layout.stage_layers(GPT)] == [21, 30, 30, 15]


def test_groups_sit_as_megatron_numbers_ranks() -> None:
    layout = Layout(global_batch=8, tp=4, dp=4, pp=2)
    tp, dp, pp = (layout.place(group, 8) for group in ("tp", "dp", "pp"))
    assert (tp.nodes, tp.local) == (1, (0, 1, 2, 3))
    assert (dp.nodes, dp.local) == (2, (0, 4))
    assert (pp.nodes, pp.distance) == (2, 2)
