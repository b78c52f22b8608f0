"""Streams and events: times are the card's, simulated, and no clock of the host is in them."""

from __future__ import annotations

import itertools
import time

import pytest
import torch

#: FP32 products of the toy card: 16 cores × 256 multiply-adds × 1 GHz.
FP32_FLOP_PER_S = 8.192e12
HOST_BYTES_PER_S = 16e9
HOST_ISSUE_MS = 0.005


@pytest.fixture(autouse=True)
def idle_card():
    """Nothing is under way on the card when a test starts."""
    for index in (0, 1):
        torch.gcu.synchronize(index)


def elapsed_ms(work, stream=None) -> float:
    """Simulated time of the work, between two events on the current stream."""
    start, end = (torch.gcu.Event(enable_timing=True) for _ in range(2))
    torch.gcu.synchronize()
    start.record()
    work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def products(count, size=512):
    x = torch.ones(size, size, device="gcu")

    def work():
        for _ in range(count):
            x @ x

    return work


# ---- elapsed_time


def test_a_product_takes_the_time_the_card_needs_for_it():
    peak_ms = 2 * 1024**3 / FP32_FLOP_PER_S * 1e3
    assert peak_ms <= elapsed_ms(products(1, 1024)) <= 1.3 * peak_ms


def test_the_same_work_takes_the_same_time_again():
    times = {elapsed_ms(products(3)) for _ in range(4)}
    assert len(times) == 1


def test_the_host_s_clock_does_not_count():
    work = products(2)

    def slow():
        work()
        time.sleep(0.2)

    assert elapsed_ms(slow) == elapsed_ms(work) < 100


def test_time_is_proportional_to_work():
    one, four, sixteen = (elapsed_ms(products(n)) for n in (1, 4, 16))
    assert four == pytest.approx(4 * one, rel=0.2)
    assert sixteen - four == pytest.approx(3 * four, rel=0.05)
    assert elapsed_ms(products(1, 1024)) == pytest.approx(8 * elapsed_ms(products(1)), rel=0.3)


def test_small_ops_take_as_long_as_the_host_needs_to_issue_them():
    x = torch.ones(4, device="gcu")

    def work():
        for _ in range(100):
            x.add_(1)

    assert elapsed_ms(work) == pytest.approx(100 * HOST_ISSUE_MS, rel=0.1)


def test_a_copy_from_the_host_takes_the_time_of_the_host_link():
    source = torch.zeros(4 << 20).pin_memory()
    expected_ms = source.nbytes / HOST_BYTES_PER_S * 1e3
    assert elapsed_ms(lambda: source.to("gcu", non_blocking=True)) == pytest.approx(
        expected_ms, rel=0.1
    )


def test_nothing_between_two_events_takes_no_time():
    assert elapsed_ms(lambda: None) == 0


def test_views_take_no_time_on_the_card():
    x = torch.ones(64, 64, device="gcu")
    assert elapsed_ms(lambda: x.t()[1:].reshape(-1)[:0].view(0, 4)) <= 0.05


def test_elapsed_time_is_negative_the_other_way_round():
    start, end = (torch.gcu.Event(enable_timing=True) for _ in range(2))
    start.record()
    products(1)()
    end.record()
    assert end.elapsed_time(start) == -start.elapsed_time(end) < 0


def test_an_event_recorded_again_is_at_its_last_place():
    start, end = (torch.gcu.Event(enable_timing=True) for _ in range(2))
    one, three = products(1), products(3)
    torch.gcu.synchronize()
    start.record()
    one()
    end.record()
    three()
    end.record()
    assert start.elapsed_time(end) == pytest.approx(elapsed_ms(products(4)), rel=0.01)


def test_time_passes_through_training_steps():
    layer = torch.nn.Linear(64, 64).to("gcu")
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    events = []
    for _ in range(5):
        events.append(torch.gcu.Event(enable_timing=True))
        events[-1].record()
        optimizer.zero_grad()
        layer(torch.ones(8, 64, device="gcu")).sum().backward()
        optimizer.step()
    times = [a.elapsed_time(b) for a, b in itertools.pairwise(events)]
    assert all(t > 0 for t in times)
    assert times[-1] == pytest.approx(times[-2])
    assert events[0].elapsed_time(events[-1]) == pytest.approx(sum(times))


def test_an_event_reused_in_every_step_measures_every_step():
    layer = torch.nn.Linear(64, 64).to("gcu")
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    start, end = (torch.gcu.Event(enable_timing=True) for _ in range(2))
    times = []
    for step in range(6):
        torch.gcu.synchronize()
        start.record()
        layer(torch.ones(8 if step < 3 else 4096, 64, device="gcu")).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        end.record()
        torch.gcu.synchronize()
        times.append(start.elapsed_time(end))
    assert all(t > 0 for t in times)
    assert times[1] == pytest.approx(times[2]) and times[4] == pytest.approx(times[5])
    assert times[5] > times[2]


@pytest.mark.parametrize("missing", ["start", "end"])
def test_asking_before_an_event_is_recorded_is_an_error(missing):
    start, end = (torch.gcu.Event(enable_timing=True) for _ in range(2))
    (end if missing == "start" else start).record()
    with pytest.raises((RuntimeError, ValueError), match="recorded"):
        start.elapsed_time(end)


def test_an_event_without_timing_cannot_be_asked():
    start, end = torch.gcu.Event(), torch.gcu.Event(enable_timing=True)
    start.record()
    end.record()
    with pytest.raises((RuntimeError, ValueError), match="enable_timing"):
        start.elapsed_time(end)


def test_events_of_the_general_interface_measure_too():
    start, end = (torch.Event("gcu", enable_timing=True) for _ in range(2))
    work = products(2)
    torch.accelerator.synchronize()
    start.record()
    work()
    end.record()
    assert start.elapsed_time(end) == elapsed_ms(work)
