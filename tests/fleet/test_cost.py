"""Host and device of one pass: what waits for what."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from suiren.fleet.cost import BEFORE_SHARE, Cost
from suiren.fleet.framework import MEGATRON_2021
from suiren.fleet.layout import Layout
from suiren.fleet.models import gpt
from suiren.fleet.step import train_step
from suiren.hw.find_cluster import cluster_of

times = st.floats(0.0, 1.0)


def flow_line_s(pieces: list[Cost]) -> float:
    """Host and device as two machines in a line, piece by piece (Johnson 1954)."""
    host = device = 0.0
    for one in pieces:
        start = host
        host += one.host_s
        device = max(device, start) + one.behind_s
    return max(host, device)


@given(st.lists(st.tuples(times, times), min_size=1, max_size=4), st.tuples(times, times))
def test_the_last_piece_is_not_hidden(layers: list[tuple[float, float]],
                                      last: tuple[float, float]) -> None:  # fmt: skip
    """A pass is at least as long as host before its last piece and device of it."""
    body = [Cost(matrix_s=d, host_s=h) for d, h in layers]
    end = Cost(matrix_s=last[0], host_s=last[1])
    total = sum(body, Cost()) + end.last()
    before = sum(c.host_s for c in body)
    assert total.seconds >= before + end.behind_s - 1e-12
    assert total.seconds >= sum((c.behind_s for c in body), end.behind_s) - 1e-12
    line = flow_line_s([sum(body, Cost()), end])
    assert total.seconds <= line + 1e-12


def test_long_kernels_hide_all_of_the_host_but_its_first_part() -> None:
    one = Cost(matrix_s=1.0, host_s=0.1)
    assert one.seconds == 1.0 + float(BEFORE_SHARE) * 0.1


def test_a_framework_that_waits_pays_for_its_head() -> None:
    """Small layers, a large vocabulary: the logits run when the host has nothing to issue."""
    model, cluster = gpt("small", 12, 1024, 16, 1024), cluster_of("dgx-a100")
    layout = Layout(global_batch=4, tp=2, dp=4, precision="fp16")
    waits = train_step(model, layout, cluster, MEGATRON_2021).step_s
    ahead = train_step(model, layout, cluster, replace(MEGATRON_2021, waits=False)).step_s
    assert waits > ahead
