"""Layers recorded from real modules: what they compute, keep and exchange, split over ranks."""

import json
from dataclasses import replace

import pytest

from suiren.fleet.block import recomputed
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.memory import WORKSPACE_BYTES, in_flight, memory_of
from suiren.fleet.part import Comm, Part
from suiren.fleet.sharded_framework import PYTORCH
from suiren.fleet.share import share_of
from suiren.fleet.step import train_step
from suiren.hw.find_cluster import cluster_of
from suiren.mapper.families import work_of
from suiren.plan.affine import NotAlike, at
from suiren.plan.configs import config_of, find_known, with_layer_params
from suiren.plan.pieces import Stack, stack_from_json
from suiren.plan.recorder import Wanted
from suiren.plan.traced import Traced, recording
from suiren.trace.call import Call

SEQ = 256
LLAMA = {
    "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 8,
    "num_key_value_heads": 4, "intermediate_size": 512, "vocab_size": 1024,
    "max_position_embeddings": SEQ, "tie_word_embeddings": False,
}  # fmt: skip


def wanted(tp: int = 1, micro_batch: int = 1, sp: bool = False, lora: int = 0) -> Wanted:
    return Wanted(json.dumps(LLAMA, sort_keys=True), tp, micro_batch, SEQ, "bf16", sp, lora)


@pytest.fixture(scope="module")
def stack():
    """Recorded stacks by their split, each once."""
    known: dict[Wanted, Stack] = {}

    def record(**how) -> Stack:
        one = wanted(**how)
        if one not in known:
            known[one] = stack_from_json(recording().ask(one))
        return known[one]

    yield record
    recording().close()


def products(part: Part, way: str) -> float:
    return sum(work_of(t).product_flop for t in getattr(part, way) if isinstance(t, Call))


def exchanged(part: Part, way: str) -> list[str]:
    return [t.op for t in getattr(part, way) if isinstance(t, Comm)]


def test_a_layer_multiplies_what_its_weights_say(stack):
    weights = 256 * 256 * 2 + 256 * 128 * 2 + 3 * 256 * 512
    layer = stack().layer
    scores = 2 * 2 * 8 * SEQ * SEQ * 32
    assert products(layer, "forward") == pytest.approx(2 * SEQ * weights + scores / 2, rel=0.15)
    linear = 2 * SEQ * weights
    mm = sum(work_of(t).product_flop for t in layer.backward
             if isinstance(t, Call) and t.name in ("mm", "addmm"))  # fmt: skip
    assert mm == 2 * linear


def test_a_group_halves_the_products_and_exchanges_twice_each_way(stack):
    one, two = stack().layer, stack(tp=2).layer
    assert products(two, "forward") == pytest.approx(products(one, "forward") / 2)
    assert exchanged(two, "forward") == exchanged(two, "backward") == ["all_reduce"] * 2
    assert exchanged(one, "forward") == []
    size = SEQ * 256 * 2
    assert {t.size_bytes for t in two.forward if isinstance(t, Comm)} == {size}


def test_sequence_parallel_layers_gather_and_scatter_and_keep_less(stack):
    plain, split = stack(tp=2).layer, stack(tp=2, sp=True).layer
    assert exchanged(split, "forward") == ["all_gather", "reduce_scatter"] * 2
    assert sorted(exchanged(split, "backward")) == ["all_gather"] * 2 + ["reduce_scatter"] * 2
    assert split.saved_bytes < 0.9 * plain.saved_bytes


def test_sizes_of_a_larger_micro_batch_lie_on_the_line(stack):
    guess = at(stack(micro_batch=2), stack(micro_batch=3), 6)
    real = stack(micro_batch=6)
    for name in ("embedding", "layer", "head"):
        a, b = getattr(guess, name), getattr(real, name)
        assert a.saved == b.saved
        assert a.forward == b.forward or [str(t) for t in a.forward if "scalar" not in str(t)] == [
            str(t) for t in b.forward if "scalar" not in str(t)
        ]
        assert a.backward == b.backward
        assert a.working_bytes == pytest.approx(b.working_bytes, rel=0.2)


def test_recordings_of_other_structure_are_no_line(stack):
    with pytest.raises(NotAlike):
        at(stack(micro_batch=2), stack(tp=2, micro_batch=2), 4)


def test_adapters_leave_the_weights_gradients_out(stack):
    whole, adapted = stack().layer, stack(lora=8).layer
    assert products(adapted, "forward") > products(whole, "forward")
    assert products(adapted, "backward") < 0.75 * products(whole, "backward")


def test_parts_survive_the_file(stack):
    one = stack(tp=2, sp=True)
    assert stack_from_json(json.loads(json.dumps(one.as_json()))) == one


def test_modules_that_cannot_be_split_say_why():
    source = Traced(LLAMA | {"num_key_value_heads": 2})
    model = find_known("llama3-8b", SEQ).model
    share = share_of(model, Layout(global_batch=8, tp=4), replace(PYTORCH, source=source))
    with pytest.raises(BadLayout, match="tp 4"):
        source.stack(share)


def test_full_recomputation_keeps_the_input_and_selective_the_products(stack):
    source = Traced(LLAMA)
    model = replace(find_known("llama3-8b", SEQ).model, d_model=256, heads=8, kv_heads=4,
                    d_ff=512, vocab=1024, layers=8)  # fmt: skip
    cluster = cluster_of("t20x8", 2)
    framework = replace(PYTORCH, source=source)
    found = {
        r: train_step(model, Layout(global_batch=8, dp=2, micro_batch=2, recompute=r), cluster,
                      framework)
        for r in ("none", "selective", "full")
    }  # fmt: skip
    kept = [found[r].peak_memory.activations for r in ("full", "selective", "none")]
    assert kept == sorted(kept) and kept[0] < 0.2 * kept[2]
    assert found["none"].step_s < found["selective"].step_s < found["full"].step_s


def share_with(recompute: str, **fields):
    model = replace(find_known("llama3-8b", SEQ).model, d_model=256, heads=8, kv_heads=4,
                    d_ff=512, vocab=1024, layers=8)  # fmt: skip
    layout = Layout(recompute=recompute, **{"global_batch": 8} | fields)
    return share_of(model, layout, replace(PYTORCH, source=Traced(LLAMA)))


def test_selective_keeps_every_result_that_pytorch_caches(stack):
    saved = recomputed(stack().layer, share_with("selective")).saved
    rows, wide, narrow = SEQ, 256, 128
    input_bytes = 2 * rows * wide
    assert dict(saved)["layer input"] == input_bytes
    # queries, the output's and the down projection; keys and values; gate and up
    results = 2 * rows * (3 * wide + 2 * narrow + 2 * 512)
    assert sum(size for name, size in saved if name == "product") == results
    scores = sum(size for name, size in saved if name == "attention")
    assert input_bytes < scores < 1.2 * input_bytes  # with the sums of its softmax


def test_sums_over_ranks_are_kept_and_gathers_are_repeated(stack):
    part = recomputed(stack(tp=2, sp=True).layer, share_with("selective", tp=2))
    plain = exchanged(stack(tp=2, sp=True).layer, "backward")
    assert exchanged(part, "backward") == ["all_gather"] * 2 + plain
    assert sum(size for name, size in part.saved if name == "sum") == 2 * SEQ * 256


@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_a_layers_last_product_never_runs_twice(stack, recompute):
    whole = stack().layer
    part = recomputed(whole, share_with(recompute))
    added = products(part, "backward") - products(whole, "backward")
    last = 2 * SEQ * 512 * 256
    assert added == (0 if recompute == "selective" else products(whole, "forward") - last)


@pytest.mark.parametrize(("schedule", "losses"), [("1f1b", 1), ("gpipe", 4)])
def test_a_last_stage_holds_its_logits_and_those_of_gpipe_all(stack, schedule, losses):
    share = share_with("none", pp=2, schedule=schedule, global_batch=4)
    told = memory_of(share.model, Layout(global_batch=4, pp=2, schedule=schedule),
                     share.framework, 1)  # fmt: skip
    head = stack().head.saved_bytes + 2 * SEQ * 1024
    assert told.logits == losses * head
    alone = memory_of(share.model, Layout(global_batch=4), share.framework, 0)
    assert alone.logits == stack().head.saved_bytes


def told_of(stage: int, **fields):
    """Memory of a stage of eight layers on four stages, eight micro-batches."""
    layout = Layout(global_batch=8, pp=4, **fields)
    share = share_with("none", global_batch=8, pp=4, **fields)
    return memory_of(share.model, layout, share.framework, stage), in_flight(layout, stage)


def test_what_several_chunks_sent_is_held_until_the_step_ends():
    message = 2 * SEQ * 256
    for stage, ways in ((0, 3), (1, 4), (3, 3)):
        told, chunks = told_of(stage, vpp=2, schedule="interleaved")
        sent = ways * 8 - 2 * chunks
        assert told.workspace - float(WORKSPACE_BYTES) == (ways * 8 + sent) * message
    alone, _ = told_of(1)
    assert alone.workspace - float(WORKSPACE_BYTES) == 2 * 8 * message


def test_zero_bubble_stages_keep_what_they_owe_weight_gradients(stack):
    results = 2 * 2 * SEQ * (3 * 256 + 2 * 128 + 2 * 512)  # of two layers
    plain = [told_of(stage)[0] for stage in range(4)]
    moved = [told_of(stage, schedule="zero-bubble")[0] for stage in range(4)]
    assert [told_of(s, schedule="zero-bubble")[1] for s in range(4)] == [4, 4, 4, 4]
    for stage in (1, 2):
        assert moved[stage].working - plain[stage].working == stage * results
        assert moved[stage].gradients == 1.5 * plain[stage].gradients  # no hook frees them
    assert moved[0].gradients == plain[0].gradients
    assert moved[3].logits - plain[3].logits == 3 * 2 * SEQ * 1024


def test_a_loss_is_gone_before_a_layer_is_computed_again(stack):
    share = share_with("full", micro_batch=8)
    told = memory_of(share.model, Layout(global_batch=8, micro_batch=8, recompute="full"),
                     share.framework, 0)  # fmt: skip
    assert (told.logits == 0) != (told.recomputed == 0)
    head = stack(micro_batch=8).head
    assert told.logits + told.recomputed + told.working >= head.saved_bytes + head.working_bytes


def test_bundled_models_have_modules_of_their_sizes():
    known = find_known("qwen2.5-7b")
    assert known.config is not None and known.config["model_type"] == "qwen2"
    said = known.model.layer_params()
    assert with_layer_params(known, said + 4608).layer_params() == said + 4608
    with pytest.raises(ValueError, match="plan with --formula"):
        with_layer_params(known, 3 * said)
    assert config_of(find_known("mixtral-8x7b").model) is None
