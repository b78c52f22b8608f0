"""The calls of a layer are those that the virtual device records for a real module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from warm_python import python

from suiren.fleet.block import layer
from suiren.fleet.ends import head
from suiren.fleet.framework import EAGER, MEGATRON_2021, MEGATRON_2022, MEGATRON_CORE, Framework
from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.models import find_model, gpt, llama
from suiren.fleet.part import Comm, Part, Task
from suiren.fleet.share import Share, share_of
from suiren.mapper.families import work_of
from suiren.trace.call import Call
from suiren.trace.program import Kind
from suiren.trace.text import load_program

SCRIPT = Path(__file__).parent / "scripts" / "layers.py"
MODELS = {
    "unfused": gpt("layer", 1, 256, 4, 64),
    "flash": llama("layer", 1, 256, 4, 2, 1024, 1000, 64),
}


def recorded(kind: str, folder: Path) -> list[Call]:
    """The calls of a steady step of the script on the virtual device."""
    trace = folder / f"{kind}.gz"
    ran = python("-m", "suiren.cli", "run", SCRIPT, "--on", "toy", "--quiet", "--no-numerics",
                 "--save-trace", trace, "--", kind)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    program = load_program(trace)
    rows = program.distinct[program.order[-1]].events.tolist()
    return [program.calls[row[1]] for row in rows if row[0] == Kind.OP]


def products(calls: Iterable[Task]) -> Counter[tuple[int, ...]]:
    """Products by size, turned so that the shorter side comes first."""
    found: Counter[tuple[int, ...]] = Counter()
    for call in calls:
        if isinstance(call, Call) and "attention" not in call.op:
            for kernel in work_of(call).kernels:
                p = kernel.product
                if p is not None:
                    found[(p.batch, *sorted((p.m, p.n)), p.k)] += 1
    return found


def attentions(calls: Iterable[Task]) -> list[tuple[object, ...]]:
    """Fused attention: op, shapes of queries and keys, causal."""
    return sorted(
        (c.op, c.tensor("query").shape, c.tensor("key").shape, c.arguments["is_causal"])
        for c in calls if isinstance(c, Call) and "attention" in c.op
    )  # fmt: skip


def share(model: Model, **layout: object) -> Share:
    how = layout.pop("framework", MEGATRON_2021)
    filled = {"global_batch": 2, "micro_batch": 2, **layout}
    return share_of(model, Layout(**filled), how)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", MODELS)
def test_products_and_attention_are_those_of_the_device(kind: str, tmp_path: Path) -> None:
    real = recorded(kind, tmp_path)
    part = layer(share(MODELS[kind]))
    own = (*part.forward, *part.backward)
    assert products(own) == products(real)
    assert attentions(own) == attentions(real)
    assert products(own)


def test_tensor_parallel_ranks_share_the_products() -> None:
    model = find_model("gpt-22b")
    whole, eighth = (layer(share(model, tp=tp)) for tp in (1, 8))
    one, eight = (
        sum(work_of(t).product_flop for t in (*p.forward, *p.backward) if isinstance(t, Call))
        for p in (whole, eighth)
    )
    assert eight * 8 == one


@pytest.mark.parametrize(("recompute", "reduces"), [("none", 4), ("full", 6)])
def test_a_layer_reduces_twice_a_pass(recompute: str, reduces: int) -> None:
    part = layer(share(find_model("gpt-22b"), tp=8, recompute=recompute))
    sent = [t for t in (*part.forward, *part.backward) if isinstance(t, Comm)]
    assert [c.op for c in sent] == ["all_reduce"] * reduces
    assert {c.size_bytes for c in sent} == {2 * 2 * 2048 * 6144}


def test_sequence_parallel_gathers_and_scatters_instead() -> None:
    part = layer(share(find_model("gpt-22b"), tp=8, sequence_parallel=True))
    sent = Counter(t.op for t in (*part.forward, *part.backward) if isinstance(t, Comm))
    assert sent == {"all_gather": 4, "reduce_scatter": 4}


def test_an_asynchronous_input_gradient_runs_beside_the_weights() -> None:
    part = layer(share(find_model("gpt-22b"), tp=8, framework=MEGATRON_2022))
    index = [n for n, t in enumerate(part.backward) if isinstance(t, Comm) and t.beside]
    assert len(index) == 2
    for n in index:
        beside = part.backward[n + 1]
        assert isinstance(beside, Call)
        assert beside.name in ("mm", "addmm")


def test_selective_recompute_repeats_the_core_alone() -> None:
    model = find_model("gpt-22b")
    none, some, all_ = (
        sum(work_of(t).product_flop for t in layer(share(model, recompute=r)).backward
            if isinstance(t, Call)) for r in ("none", "selective", "full")
    )  # fmt: skip
    core = 2 * 2 * 2 * 2048**2 * 6144
    assert some - none == core
    assert all_ - none == sum(
        work_of(t).product_flop for t in layer(share(model)).forward if isinstance(t, Call)
    )


def test_the_vocabulary_is_padded_as_the_framework_does() -> None:
    model = gpt("small", 2, 256, 4, 64, 50257)
    assert [share(model, tp=2).vocab, share(model, framework=EAGER).vocab] == [25216, 50257]
    logits = products(head(share(model, tp=2)).forward)
    assert (1, 128, 25216, 256) in logits


def test_a_mixture_sends_its_tokens_there_and_back() -> None:
    model = find_model("mixtral-8x7b")
    part = layer(share(model, dp=8, ep=8, global_batch=16), True)
    sent = [t for t in part.forward if isinstance(t, Comm)]
    assert [c.op for c in sent] == ["all_to_all"] * 2
    assert sent[0].size_bytes == 2 * 2 * 4096 * 4096 * 2
    grouped = [t for t in part.forward if isinstance(t, Call) and t.name == "bmm"]
    assert [t.tensor("self").shape for t in grouped] == [(1, 16384, 4096), (1, 16384, 14336)]


def kept_by(part: Part) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, size in part.saved:
        found[name] = found.get(name, 0.0) + size
    return found


def test_experts_weighted_early_keep_no_results_and_fp8_half_of_their_inputs() -> None:
    model = find_model("mixtral-8x7b")

    def kept(framework: Framework, precision: str) -> dict[str, float]:
        one = share(model, framework=framework, dp=8, ep=8, global_batch=16, precision=precision)
        return kept_by(layer(one, True))

    late, early, small = (kept(f, p) for f, p in (
        (MEGATRON_2022, "bf16"), (MEGATRON_CORE, "bf16"), (MEGATRON_CORE, "fp8")
    ))  # fmt: skip
    rows = 2 * 4096 * 2
    assert late["expert results"] == rows * 4096 * 2 and "expert results" not in early
    assert early["expert input"] == late["expert input"] == 2 * small["expert input"]


def test_megatrons_softmax_takes_four_batches_of_heads_at_a_time() -> None:
    """`is_kernel_available`: batches x heads of a rank must be a multiple of 4."""
    model = gpt("small", 1, 1024, 16, 1024)
    fits, refused = (
        [t.op for t in layer(share(model, tp=8, micro_batch=m)).forward if isinstance(t, Call)]
        for m in (2, 1)
    )
    assert "megatron::_softmax" in fits
    assert "aten::masked_fill" not in fits
    assert {"aten::_softmax", "aten::masked_fill"} <= set(refused)
    assert len(refused) == len(fits) + 4
