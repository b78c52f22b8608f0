"""Every rewrite changes what it says, and nothing else."""

from __future__ import annotations

from asked_lines import TRAINING, asked

from suiren.advise.asked import Ask, Asked
from suiren.advise.autocast import use_bf16
from suiren.advise.rewrite import (
    drop_syncs,
    fuse_optimizer,
    grow_batch,
    keep_activations,
    use_tf32,
)
from suiren.hw.catalog import CARDS

TOY, V100 = CARDS["toy"], CARDS["v100"]
STEP = asked(TRAINING, weights=(1,))


def lines(step: Asked) -> list[str]:
    return [str(ask.call) for ask in step.ops()]


def named(step: Asked, name: str) -> list[Ask]:
    return [ask for ask in step.ops() if ask.call.name == name]


def flop(step: Asked) -> int:
    return sum(ask.work.product_flop for ask in step.ops())


def test_autocast_makes_products_bf16_and_what_follows_them() -> None:
    low = use_bf16(STEP, TOY)
    for ask in named(low, "mm"):
        tensors = [*ask.call.inputs(), *ask.call.results()]
        assert {t.dtype for t in tensors} == {"bf16"}
        assert ask.work.kernels[0].product.dtype == "bf16"
    assert str(named(low, "relu")[0].call) == "aten::relu(self=bf16[8,64])->(bf16[8,64])"
    optimizer = [str(a.call) for a in STEP.ops() if a.phase == "optimizer"]
    assert [str(a.call) for a in low.ops() if a.phase == "optimizer"] == optimizer
    assert flop(low) == flop(STEP)


def test_autocast_casts_each_operand_by_an_op_and_its_gradient_back() -> None:
    added = [a for a in named(use_bf16(STEP, TOY), "copy_") if a.phase != "data"]
    forward = [a.work.kernels[0] for a in added if a.phase == "forward"]
    sizes = [(k.read_bytes, k.write_bytes) for k in forward]
    assert sizes == [(4 * 8 * 32, 2 * 8 * 32), (4 * 32 * 64, 2 * 32 * 64)]
    assert len([a for a in added if a.phase == "backward"]) == len(forward)


def test_autocast_keeps_norms_in_fp32_and_casts_their_input_back() -> None:
    norm = "forward native_layer_norm(input=f32[8,64],normalized_shape=[64],weight=f32[64],"
    norm += "bias=f32[64],eps=~)->(f32[8,64],f32[8,1],f32[8,1]) : 3 8 9 10 11 12\n    "
    text = TRAINING.replace("forward relu", norm + "forward relu")
    low = use_bf16(asked(text, weights=(1, 8, 9)), TOY)
    assert {t.dtype for t in named(low, "native_layer_norm")[0].call.inputs()} == {"f32"}
    casts = [a.call for a in named(low, "copy_") if a.phase == "forward"]
    assert str(casts[-1]) == "aten::copy_(self=f32[8,64],src=bf16[8,64])->(f32[8,64])"


def test_autocast_replaces_tf32_and_needs_a_card_with_bf16() -> None:
    tf32 = use_tf32(STEP, TOY)
    assert all(a.call.arguments["math"] == "tf32" for a in named(tf32, "mm"))
    assert all(a.work.kernels[0].product.tf32 for a in named(tf32, "mm"))
    assert all("math" not in a.call.arguments for a in named(use_bf16(tf32, TOY), "mm"))
    assert use_bf16(STEP, V100) is None
    assert use_tf32(STEP, V100) is None
    assert use_tf32(tf32, TOY) is None
    assert use_bf16(use_bf16(STEP, TOY), TOY) is None


def test_a_larger_batch_grows_activations_and_not_weights() -> None:
    grown = grow_batch(STEP, 4)
    forward, backward = named(grown, "mm")
    assert str(forward.call) == "aten::mm(self=f32[32,32],mat2=f32[32,64])->(f32[32,64])"
    assert [t.shape for t in backward.call.inputs()] == [(32, 32), (32, 64)]
    assert [t.shape for t in backward.call.results()] == [(32, 64)]
    assert flop(grown) == 4 * flop(STEP)
    assert named(grown, "relu")[0].work.bytes == 4 * named(STEP, "relu")[0].work.bytes
    (step,) = named(grown, "_foreach_add_")
    assert step == named(STEP, "_foreach_add_")[0]


def test_a_larger_batch_takes_longer_to_transfer() -> None:
    (before,) = named(STEP, "copy_")
    (after,) = named(grow_batch(STEP, 4), "copy_")
    assert after.work.kernels[0].link_bytes == 4 * before.work.kernels[0].link_bytes


def test_dropping_synchronisations_drops_nothing_else() -> None:
    free = drop_syncs(STEP)
    assert lines(free) == lines(STEP)
    assert len(free.asks) == len(STEP.asks) - 1
    assert drop_syncs(free) is None


def test_a_fused_optimizer_streams_every_parameter_once() -> None:
    many = (
        TRAINING
        + TRAINING.splitlines()[-2] * 0
        + """
    optimizer _foreach_mul_.Scalar(self=[f32[32,64]],scalar=~)->() : 8
    optimizer _foreach_add_.List(self=[f32[32,64]],other=[f32[32,64]])->() : 1 8
    """
    )
    step = asked(many, weights=(1,))
    fused = fuse_optimizer(step, [(32 * 64, "f32")], 2)
    mine = [a for a in fused.ops() if a.phase == "optimizer"]
    assert [a.call.name for a in mine] == ["_fused_adamw_"]
    assert mine[0].work.bytes == (4 + 3) * 4 * 32 * 64
    assert mine[0].work.kernels[0].launches == 1
    assert [a for a in fused.ops() if a.phase != "optimizer"] == [
        a for a in step.ops() if a.phase != "optimizer"
    ]
    assert fuse_optimizer(fused, [(32 * 64, "f32")], 2) is None


def test_a_fused_sgd_has_as_many_buffers_as_there_are_states() -> None:
    size = 4 * 32 * 64
    for states, expected in ((0, 2 * size + size), (1, 3 * size + 2 * size)):
        fused = fuse_optimizer(STEP, [(32 * 64, "f32")], states)
        assert named(fused, "_fused_sgd_")[0].work.bytes == expected


def test_there_is_nothing_to_fuse_without_an_optimizer() -> None:
    assert fuse_optimizer(STEP, [], 2) is None
    forward = asked("forward relu(self=f32[8])->(f32[8]) : 1 2")
    assert fuse_optimizer(forward, [(8, "f32")], 2) is None


def test_keeping_activations_drops_what_was_recomputed() -> None:
    again = TRAINING.replace("sync", "recompute relu(self=f32[8,64])->(f32[8,64]) : 3 4\nsync")
    kept = keep_activations(asked(again, weights=(1,)))
    assert lines(kept) == lines(STEP)
    assert keep_activations(STEP) is None


def test_no_rewrite_touches_the_step_it_is_given() -> None:
    before = [str(a.call) if isinstance(a, Ask) else a for a in STEP.asks]
    for changed in (
        use_bf16(STEP, TOY),
        use_tf32(STEP, TOY),
        grow_batch(STEP, 2),
        drop_syncs(STEP),
    ):
        assert changed is not None
        assert [str(a.call) if isinstance(a, Ask) else a for a in STEP.asks] == before
