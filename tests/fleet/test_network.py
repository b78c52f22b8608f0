"""Max-min fairness: nothing overflows, nobody could have more without taking from the poorer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.network import Flow, end_times, fair_rates, slowest

WIRES = 5
CAPACITY = st.lists(st.floats(1.0, 100.0), min_size=WIRES, max_size=WIRES)
FLOW = st.builds(
    Flow,
    st.dictionaries(st.integers(0, WIRES - 1), st.floats(0.1, 1.0), min_size=1).map(
        lambda shares: tuple(sorted(shares.items()))
    ),
    st.floats(1.0, 1000.0),
)
FLOWS = st.lists(FLOW, min_size=1, max_size=8)


def loads(flows: list[Flow], rates: list[float]) -> list[float]:
    found = [0.0] * WIRES
    for flow, rate in zip(flows, rates, strict=True):
        for wire, share in flow.wires:
            found[wire] += share * rate
    return found


@given(FLOWS, CAPACITY)
def test_no_wire_overflows_and_every_flow_crosses_a_full_one(flows, capacity) -> None:
    rates = fair_rates(flows, capacity)
    load = loads(flows, rates)
    full = {w for w in range(WIRES) if load[w] >= capacity[w] * (1 - 1e-6)}
    assert all(load[w] <= capacity[w] * (1 + 1e-6) for w in range(WIRES))
    for flow, rate in zip(flows, rates, strict=True):
        bottlenecks = full & {w for w, _ in flow.wires}
        assert rate > 0 and bottlenecks
        # on one of them nobody is faster: else the flow could have taken from the faster
        assert any(
            all(other <= rate * (1 + 1e-6)
                for mate, other in zip(flows, rates, strict=True)
                if w in {n for n, _ in mate.wires})
            for w in bottlenecks
        )  # fmt: skip


@given(FLOWS, CAPACITY)
def test_wider_wires_never_delay_the_last_flow_alone_on_them(flows, capacity) -> None:
    wider = [2 * c for c in capacity]
    before, after = max(end_times(flows, capacity)), max(end_times(flows, wider))
    assert after == pytest.approx(before / 2)


@settings(max_examples=50)
@given(FLOWS, CAPACITY)
def test_the_end_is_no_earlier_than_the_busiest_wire_and_bytes_arrive(flows, capacity) -> None:
    last, wire = slowest(flows, tuple(capacity))
    least = max(load / c for load, c in zip(
        loads(flows, [f.size_bytes for f in flows]), capacity, strict=True))  # fmt: skip
    assert last >= least * (1 - 1e-6)
    assert 0 <= wire < WIRES


def test_two_share_and_the_third_takes_the_rest() -> None:
    flows = [Flow(((0, 1.0),), 1), Flow(((0, 1.0), (1, 1.0)), 1), Flow(((1, 1.0),), 1)]
    assert fair_rates(flows, [10.0, 20.0]) == pytest.approx([5.0, 5.0, 15.0])


def test_shares_are_dealt_anew_when_a_flow_ends() -> None:
    flows = [Flow(((0, 1.0),), 10), Flow(((0, 1.0),), 30)]
    assert end_times(flows, [10.0]) == pytest.approx([2.0, 4.0])


def test_nothing_to_do_takes_no_time() -> None:
    assert slowest([], [1.0]) == (0.0, -1)
    assert end_times([Flow(((0, 1.0),), 0.0)], [1.0]) == [0.0]
