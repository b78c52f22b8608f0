"""What a framework's settings do to a step: laws that hold for any numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.block import layer
from suiren.fleet.cost import Cost, behind_kernels, price_of, reach
from suiren.fleet.ends import ending, head
from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.layout import Layout
from suiren.fleet.mixture import mixture
from suiren.fleet.model import Model
from suiren.fleet.ops import FP4, FP8, Ops
from suiren.fleet.part import Comm, captured
from suiren.fleet.place import Place
from suiren.fleet.sharded import sharded_step, wire_of
from suiren.fleet.sharded_framework import AUTOMODEL, MEGATRON_FSDP
from suiren.fleet.sharded_memory import trained_of
from suiren.fleet.share import Share, share_of
from suiren.fleet.step import StepResult, train_step
from suiren.hw.fact import assumed
from suiren.hw.find_cluster import cluster_of
from suiren.hw.names import find_card
from suiren.trace.call import Call

DENSE = Model(name="small", layers=4, d_model=1024, heads=8, d_ff=4096, vocab=32000, seq=1024,
              gated=True, norm="rms", positions="rotary", bias=False, dropout=False, tied=False,
              attention="flash")  # fmt: skip
MIXED = replace(DENSE, experts=32, top_k=4, expert_d_ff=512)
LAYOUT = Layout(global_batch=16, dp=8, zero=1)
NODE = cluster_of("hgx-h100")


def step(
    model: Model, framework: Framework = MEGATRON_CORE, layout: Layout = LAYOUT
) -> StepResult:
    return train_step(model, layout, NODE, framework)


def share(model: Model = DENSE, framework: Framework = MEGATRON_CORE, **more: object) -> Share:
    return share_of(model, replace(LAYOUT, **more), framework)  # type: ignore[arg-type]


def test_experts_on_a_rank_each_cost_the_host_kernels() -> None:
    one_by_one, many = mixture(share(MIXED, ep=8)), mixture(share(MIXED, ep=2))
    together = mixture(share(MIXED, replace(MEGATRON_CORE, expert_kernels=False), ep=2))
    assert together.more_issued == (0.0, 0.0)
    # two products a pass forward, four backward, for each expert but the first
    assert one_by_one.more_issued == (2.0 * 3, 4.0 * 3)
    assert many.more_issued == (2.0 * 15, 4.0 * 15)
    narrow = mixture(share(MIXED, ep=2, precision="fp8"))
    assert narrow.more_issued == (4.0 * 15, 6.0 * 15)


def test_a_graph_is_one_launch_and_a_whole_one_needs_no_host() -> None:
    part = layer(share())
    assert [len(w) + m for w, m in zip((part.forward, part.backward), captured(part).more_issued,
                                       strict=True)] == [1, 1]  # fmt: skip
    slow = replace(MEGATRON_CORE, host_op_s=assumed(500e-6, "for a test"))
    scopes: tuple[tuple[str, ...], ...] = ((), ("attn",), ("attn", "mlp"), ("all",))
    steps = [step(DENSE, replace(slow, graphs=g)) for g in scopes]
    times = [found.step_s for found in steps]
    assert times == sorted(times, reverse=True) and times[0] > 2 * times[-1]
    assert steps[-1].parts_s["host"] == 0


@settings(max_examples=40, deadline=None)
@given(copies=st.integers(1, 16), nodes=st.integers(1, 16), cards=st.integers(1, 8))
def test_a_copy_goes_to_a_place_once(copies: int, nodes: int, cards: int) -> None:
    place = Place(nodes, tuple(range(cards)))
    places = nodes if nodes > 1 else cards
    found = reach(copies, place)
    assert 1 / copies - 1e-9 <= found <= 1
    assert found * copies <= places + 1e-9
    assert reach(0, place) == 1.0


@settings(max_examples=30, deadline=None)
@given(ep_s=st.floats(0, 1), kernels_s=st.floats(0, 1))
def test_exchanges_beside_kernels_never_take_longer(ep_s: float, kernels_s: float) -> None:
    plain = Cost(matrix_s=kernels_s, ep_s=ep_s)
    found = behind_kernels(plain, find_card("h200"))
    assert found.ep_s + found.hidden_s == pytest.approx(ep_s)
    assert kernels_s <= found.device_s <= plain.device_s + 1e-12


def test_overlapped_experts_are_faster() -> None:
    layout = replace(LAYOUT, ep=8)
    captured_whole = replace(MEGATRON_CORE, graphs=("all",))
    apart, beside = (step(MIXED, replace(captured_whole, overlaps_experts=o), layout)
                     for o in (False, True))  # fmt: skip
    assert beside.step_s < apart.step_s
    assert beside.hidden_s > apart.hidden_s


@pytest.mark.parametrize("product", [FP8, FP4])
def test_the_largest_magnitude_is_one_more_look(product: str) -> None:
    plain, looks = Ops("bf16", product), Ops("bf16", product, True)
    assert len(looks.quantised(256, 512)) == len(plain.quantised(256, 512)) + 1
    cast = plain.quantised(256, 512)[0]
    assert isinstance(cast, Call)
    written = sum(t.bytes for t in cast.results())
    assert written == 2 * 256 * 512 * (1 if product == FP8 else 0.5)
    assert plain.input_bytes(256, 512) == written / 2


def test_narrower_products_are_faster_where_the_chip_has_them() -> None:
    card = find_card("b200")
    times = [price_of(Ops("bf16", p).mm(4096, 8192, 8192, "b"), card).busy_s
             for p in ("bf16", FP8, FP4)]  # fmt: skip
    assert times == sorted(times, reverse=True) and times[0] > 2.5 * times[2]


def test_adapters_take_the_place_of_gradients() -> None:
    frozen = replace(MEGATRON_CORE, accumulate="frozen")
    bare, all_, some = (layer(share(framework=replace(frozen, adapter_rank=r, adapts_all=a)))
                        for r, a in ((0, True), (16, True), (16, False)))  # fmt: skip
    # qkv, output, two of the feed-forward part: three kernels forward, five backward each
    assert len(all_.forward) - len(bare.forward) == 4 * 3
    assert len(all_.backward) - len(bare.backward) == 4 * 5
    assert len(some.forward) - len(bare.forward) == 3
    assert len(layer(share()).backward) > len(bare.backward)


def test_a_further_token_costs_a_layer_and_a_head() -> None:
    more = replace(DENSE, more_predicted=1)
    assert more.params == DENSE.params + DENSE.layer_params() + 2 * DENSE.d_model**2
    layer_flop = (DENSE.flop_per_sample() - replace(DENSE, layers=3).flop_per_sample())
    join = 3 * 4 * DENSE.seq * DENSE.d_model**2
    out = 3 * 2 * DENSE.seq * DENSE.d_model * DENSE.vocab
    assert more.flop_per_sample() == DENSE.flop_per_sample() + layer_flop + join + out
    assert len(ending(share(more)).forward) > 2 * len(head(share(more)).forward)
    assert ending(share()).forward == head(share()).forward
    assert step(more).step_s > step(DENSE).step_s


def test_a_window_as_long_as_the_sequence_is_none() -> None:
    assert replace(DENSE, window=DENSE.seq).flop_per_sample() == DENSE.flop_per_sample()
    short = replace(DENSE, window=128)
    assert short.seen_keys == 128 * (1 - 128 / 2048)
    assert step(short).step_s < step(DENSE).step_s


def test_norms_over_heads_are_two_more_each_way() -> None:
    normed, plain = layer(share(replace(DENSE, head_norms=True))), layer(share())
    assert len(normed.forward) == len(plain.forward) + 2
    assert len(normed.backward) == len(plain.backward) + 2


@pytest.mark.parametrize("cp", [2, 4])
def test_pieces_of_keys_that_come_round_are_added(cp: int) -> None:
    part = layer(share(cp=cp))
    alone = layer(share())
    moved = [t for t in part.forward if isinstance(t, Comm)]
    assert len(part.forward) - len(moved) == len(alone.forward) + cp - 1
    assert len(part.backward) - len(moved) == len(alone.backward) + 2 * (cp - 1)


def test_frozen_weights_scatter_nothing_and_narrow_ones_gather_half() -> None:
    layout = replace(LAYOUT, zero=3)
    frozen = replace(AUTOMODEL, accumulate="frozen", adapter_params=1e5)
    assert wire_of(NODE, layout, frozen).scatter_s(1e9) == 0
    assert wire_of(NODE, layout, AUTOMODEL).scatter_s(1e9) > 0
    assert trained_of(DENSE, layout, frozen) == 1e5 * DENSE.layers / 8
    narrow = wire_of(NODE, replace(layout, precision="fp8"), MEGATRON_FSDP).gather_s(1e9)
    wide = wire_of(NODE, layout, MEGATRON_FSDP).gather_s(1e9)
    assert narrow == pytest.approx(wide / 2, rel=0.05)
    assert sharded_step(DENSE, layout, NODE, MEGATRON_FSDP).step_s > 0
