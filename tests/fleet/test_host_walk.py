"""A rank that walks takes the same time for its host's work as a queue does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.events.queue import COPIES, HOST, HOST_WAIT, KERNELS, OP, RECORD, SYNC, Cost, Queues
from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.offload import host_optimizer_s
from suiren.fleet.placed import placed
from suiren.fleet.ranks import RankProgram
from suiren.fleet.sharded import sharded_step
from suiren.fleet.sharded_framework import LLM_FOUNDRY
from suiren.fleet.tokens import tokens_of
from suiren.fleet.walk import Walker
from suiren.hw.find_cluster import cluster_of
from suiren.hw.host import host_of, share_bytes_per_s
from suiren.trace.call import parse_call
from suiren.trace.program import Program

COSTS = [Cost(40, 2, "matrix"), Cost(25, 1, "link", COPIES), Cost(70, 0, "host work", HOST)]
ROWS = st.lists(
    st.one_of(
        st.tuples(st.just(OP), st.integers(0, 2), st.just(0), st.integers(0, 1), st.just(0)),
        st.tuples(st.sampled_from((RECORD, HOST_WAIT, SYNC)), st.integers(1, 3), st.just(0),
                  st.integers(0, 1), st.just(0)),
    ), max_size=30,
)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=60)
@given(rows=ROWS)
def test_a_walk_and_a_queue_agree(rows: list[tuple[int, int, int, int, int]]) -> None:
    queues = Queues(issue_ps=5)
    spans: list[object] = []
    queues.run(rows, COSTS.__getitem__, spans)  # type: ignore[arg-type]
    tokens = tokens_of(rows, COSTS.__getitem__, lambda _: False, 5)
    walker = Walker(0, tokens, lambda _: pytest.fail("nobody meets"))
    walker.spans = []
    walker.begin()
    walker.advance()
    assert walker.is_done
    assert (walker.host_ps, walker.end_ps()) == (queues.host_ps, queues.end_ps())
    host = [s for s in spans if s.why == "host work"]  # type: ignore[attr-defined]
    assert [s for s in walker.spans if s.why == "host work"] == host
    assert KERNELS != HOST


def test_ranks_of_a_node_share_its_host() -> None:
    cluster = cluster_of("t20x8*2")
    call = parse_call("host::_fused_adamw_(ops=1,read_bytes=16000,written_bytes=12000)->()")
    whole = share_bytes_per_s(cluster.node, 1)
    for ranks, sharers in ((1, 1), (4, 4), (8, 8), (16, 8)):
        one = RankProgram((0,), Program(calls=[call], facts={"world_size": ranks, "groups": []}))
        (given_call,) = placed(one, cluster).calls
        assert given_call.arguments["bytes_per_s"] == round(whole / sharers)


MODEL = Model(name="small", layers=4, d_model=2048, heads=16, d_ff=8192, vocab=32000, seq=1024,
              gated=True, norm="rms", positions="rotary", bias=False, dropout=False, tied=False,
              attention="flash")  # fmt: skip
LAYOUT = Layout(global_batch=8, dp=8, zero=3)


def test_a_plan_adds_both_ways_over_the_link_and_the_host_s_memory() -> None:
    cluster = cluster_of("t20x8")
    shard = MODEL.params / 8
    link_s = 8 * shard / float(cluster.card.host_bytes_per_s)
    adam_s = 28 * shard / (0.8 * float(host_of(cluster.node).memory_bytes_per_s) / 8)
    assert host_optimizer_s(shard, 4, cluster, 8) == pytest.approx(link_s + adam_s)
    kept = sharded_step(MODEL, LAYOUT, cluster, LLM_FOUNDRY)
    given_away = sharded_step(MODEL, replace(LAYOUT, offload="optimizer"), cluster, LLM_FOUNDRY)
    assert given_away.parts_s["optimizer"] == pytest.approx(link_s + adam_s)
    assert given_away.step_s > kept.step_s
    assert "host.stream_share" in given_away.assumed and "host.stream_share" not in kept.assumed
