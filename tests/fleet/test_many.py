"""Many steps at once: every number is the one of a single step, and impossible rows say why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.block import layer
from suiren.fleet.ends import embedding, head
from suiren.fleet.framework import EAGER, MEGATRON_2021, MEGATRON_CORE, Framework
from suiren.fleet.frameworks import DEEPSPEED_BF16
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.layouts import Layouts
from suiren.fleet.many import Many, steps_of
from suiren.fleet.model import Model
from suiren.fleet.models import find_model, gpt, llama
from suiren.fleet.part import Part
from suiren.fleet.sharded import ShardedStep, sharded_step
from suiren.fleet.sharded_framework import LLM_FOUNDRY, Sharded
from suiren.fleet.share import Share
from suiren.fleet.step import StepResult, train_step
from suiren.hw.cluster import Cluster
from suiren.hw.find_cluster import cluster_of

A100, T21 = cluster_of("dgx-a100*4"), cluster_of("t21x8*2")
GPT = gpt("tiny", 14, 256, 8, 128, 1000)
LLAMA = llama("tiny-llama", 12, 256, 8, 4, 512, 1000, 128)
MIXTURE = replace(LLAMA, name="tiny-mixture", experts=8, top_k=2, dense_layers=2, shared_d_ff=256)
CROSS = replace(GPT, name="tiny-cross", layers=12, decoder_layers=6, decoder_seq=64, causal=False,
                tied=False)  # fmt: skip
ADAPTED = replace(MEGATRON_CORE, name="adapted", accumulate="frozen", adapter_params=4096.0)


class Listed:
    """Parts that come from somewhere else and also need room to work in."""

    def layer(self, share: Share, experts: bool, cross: bool) -> Part:
        return self._wide(layer(self._plain(share), experts, cross), 3e6)

    def embedding(self, share: Share) -> Part:
        return embedding(self._plain(share))

    def head(self, share: Share) -> Part:
        return self._wide(head(self._plain(share)), 1e6)

    def _plain(self, share: Share) -> Share:
        return replace(share, framework=MEGATRON_2021, recompute="none")

    def _wide(self, part: Part, working_bytes: float) -> Part:
        return replace(part, working_bytes=working_bytes / len(part.forward))


class Narrow(Listed):
    """Parts that cannot be split."""

    def layer(self, share: Share, experts: bool, cross: bool) -> Part:
        if share.tp > 1:
            raise BadLayout(f"impossible to trace: tp {share.tp}")
        return super().layer(share, experts, cross)


TRACED = replace(MEGATRON_2021, name="traced", source=Listed())
NARROW = replace(MEGATRON_2021, name="narrow", source=Narrow())


def options(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values)


#: Few sizes, because each new one has kernels to tune; every field of a layout varies.
SOME = st.builds(
    Layout, global_batch=options(16, 48, 96), micro_batch=options(1, 2), tp=options(1, 2),
    pp=options(1, 2, 3, 4), vpp=options(1, 1, 2, 3), cp=options(1, 1, 2), ep=options(1, 1, 2),
    dp=options(1, 2, 4), sequence_parallel=st.booleans(), zero=options(0, 1, 1, 2, 3),
    recompute=options("none", "selective", "full"),
    schedule=options("1f1b", "gpipe", "interleaved", "zero-bubble"),
    precision=options("fp32", "bf16"), offload=options("none", "optimizer"),
    overlap_gradients=st.booleans(), overlap_tensor=st.booleans(), distinct_tokens=st.booleans(),
    first_stage_layers=options(0, 0, 1), last_stage_layers=options(0, 0, 2),
)  # fmt: skip


def one_step(
    model: Model, layout: Layout, cluster: Cluster, how: Framework
) -> StepResult | ShardedStep:
    if layout.zero < 2:
        return train_step(model, layout, cluster, how)
    layout.check(model, cluster.num_ranks)
    if not isinstance(how, Sharded):
        raise BadLayout(f"zero {layout.zero} gathers weights layer by layer")
    return sharded_step(model, layout, cluster, how)


def agree(many: Many, row: int, one: StepResult | ShardedStep) -> None:
    memory = one.memory if isinstance(one, ShardedStep) else one.peak_memory
    names = ("step_s", "clock", "power_w", "energy_j", "mfu", "tokens_per_s")
    told = {n: getattr(one, n) for n in names} | {"memory_bytes": memory.total_bytes}
    found = {name: getattr(many, name)[row] for name in told}
    assert found == pytest.approx(told, rel=1e-9)
    owners = {name: column[row] for name, column in many.owners_bytes.items()}
    assert owners == pytest.approx(memory.owners(), rel=1e-12)


@pytest.mark.parametrize(("model", "cluster", "how"), [
    (GPT, A100, MEGATRON_CORE), (LLAMA, T21, MEGATRON_CORE), (MIXTURE, A100, MEGATRON_2021),
    (CROSS, A100, EAGER), (GPT, A100, LLM_FOUNDRY), (LLAMA, A100, ADAPTED), (GPT, A100, TRACED),
    (LLAMA, A100, NARROW), (GPT, A100, DEEPSPEED_BF16),
], ids=lambda part: getattr(part, "name", ""))  # fmt: skip
def test_every_number_is_the_one_of_a_single_step(
    model: Model, cluster: Cluster, how: Framework
) -> None:
    _holds_for(model, cluster, how, SOME, 6)


def _holds_for(
    model: Model, cluster: Cluster, how: Framework, some: st.SearchStrategy[Layout], examples: int
) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(st.lists(some, min_size=1, max_size=30))
    def holds(layouts: list[Layout]) -> None:
        many = steps_of(model, Layouts.of(layouts), cluster, how)
        for row, layout in enumerate(layouts):
            try:
                one = one_step(model, layout, cluster, how)
            except BadLayout as problem:
                assert many.reason[row] > 0 and np.isinf(many.step_s[row])
                assert many.why(row, model, cluster)[:30] == str(problem)[:30]
                continue
            assert many.reason[row] == 0 and not many.why(row, model, cluster)
            agree(many, row, one)

    holds()


WIDE = st.builds(
    Layout, global_batch=options(8, 64, 96, 128), micro_batch=options(1, 2, 4),
    tp=options(1, 2, 4, 8), pp=options(1, 2, 3, 4), vpp=options(1, 1, 2, 3),
    cp=options(1, 1, 2), ep=options(1, 1, 2, 4), dp=options(1, 2, 4),
    sequence_parallel=st.booleans(), zero=options(0, 0, 1, 2, 3),
    recompute=options("none", "selective", "full"),
    schedule=options("1f1b", "gpipe", "interleaved", "zero-bubble"),
    precision=options("fp32", "tf32", "fp16", "bf16", "fp8"), offload=options("none", "optimizer"),
    overlap_gradients=st.booleans(), overlap_tensor=st.booleans(), distinct_tokens=st.booleans(),
    first_stage_layers=options(0, 0, 1), last_stage_layers=options(0, 0, 2),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("on", "ranks"), [
    ("dgx-a100*8", 64), ("t21x8*8", 64), ("hgx-h100*8", 64), ("tpu-v4", 64),
])
@pytest.mark.parametrize("model", [
    find_model("gpt3-13b"), find_model("mixtral-8x7b"), find_model("deepseek-v3"),
    find_model("t5-11b"), GPT,
], ids=lambda model: model.name)  # fmt: skip
def test_every_number_is_the_one_of_a_single_step_of_real_models(
    model: Model, on: str, ranks: int
) -> None:
    for how in (MEGATRON_CORE, EAGER, LLM_FOUNDRY):
        _holds_for(model, cluster_of(on, ranks), how, WIDE, 2)


def test_rows_are_independent_of_what_stands_beside_them() -> None:
    layouts = [Layout(global_batch=96, pp=p, tp=t, dp=2, schedule=s, zero=1)
               for p in (1, 2, 3) for t in (1, 2) for s in ("1f1b", "gpipe", "zero-bubble")]
    together = steps_of(GPT, Layouts.of(layouts), A100)
    alone = [steps_of(GPT, Layouts.of([one]), A100).step_s[0] for one in layouts]
    assert together.step_s.tolist() == alone
    assert steps_of(GPT, Layouts.of(layouts[::-1]), A100).step_s.tolist() == alone[::-1]


def test_frameworks_of_one_name_are_told_apart() -> None:
    """A framework with one habit changed keeps its name; no part of the other may be found."""
    layout = Layout(global_batch=16, tp=2)
    steps = [train_step(GPT, layout, A100, how).step_s for how in (MEGATRON_2021, replace(
        MEGATRON_2021, accumulate="frozen"), replace(MEGATRON_2021, fused=False))]  # fmt: skip
    assert len(set(steps)) == 3 and min(steps) == steps[1]


def test_impossible_rows_say_why_and_nothing_is_worked_out() -> None:
    bad = [Layout(global_batch=16, tp=3), Layout(global_batch=16, dp=64),
           Layout(global_batch=16, pp=2, zero=2), Layout(global_batch=16, zero=3)]
    told: list[int] = []
    many = steps_of(GPT, Layouts.of(bad), A100, progress=told.append)
    assert [many.why(row, GPT, A100) for row in range(4)] == [
        "impossible layout: 8 heads cannot be split over tp 3",
        "impossible layout: tp 1 x cp 1 x dp 64 x pp 1 needs 64 ranks, the cluster has 32",
        "impossible layout: zero 2 shares gradients, which a pipeline of 2 keeps whole",
        "zero 3 gathers weights layer by layer: that takes a framework that shards "
        "(fleet/sharded_framework.py)",
    ]
    assert np.isinf(many.step_s).all() and np.isinf(many.memory_bytes).all()
    assert told == [4]
    assert len(steps_of(GPT, Layouts.of([]), A100)) == 0


def test_a_card_without_a_peak_is_not_timed() -> None:
    silent = cluster_of("s60")
    many = steps_of(GPT, Layouts.of([Layout(global_batch=4)]), silent)
    with pytest.raises(BadLayout) as told:
        train_step(GPT, Layout(global_batch=4), silent)
    assert many.why(0, GPT, silent) == str(told.value)
