"""Streams of a card: who runs beside whom, who waits for whom."""

from __future__ import annotations

import pytest
import torch
from device_helpers import cases

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


def test_streams_and_events_are_pytorch_s_own_types():
    assert isinstance(torch.gcu.Stream(), torch.Stream)
    assert isinstance(torch.gcu.Stream(), torch.gcu.Stream)
    assert isinstance(torch.gcu.Event(), torch.gcu.Event)
    assert not isinstance(torch.gcu.Event(), torch.gcu.Stream)
    assert torch.gcu.Stream(device="gcu:2").device == torch.device("gcu:2")


def test_the_stream_context_changes_the_current_stream_and_gives_it_back():
    first = torch.gcu.current_stream()
    assert first == torch.gcu.default_stream()
    side = torch.gcu.Stream()
    assert side != first
    with torch.gcu.stream(side):
        assert torch.gcu.current_stream() == side
        with torch.gcu.stream(None):
            assert torch.gcu.current_stream() == side
        with torch.gcu.stream(first):
            assert torch.gcu.current_stream() == first
        assert torch.gcu.current_stream() == side
    assert torch.gcu.current_stream() == first


def test_a_stream_of_the_general_interface_is_a_context_of_its_own():
    side = torch.Stream(device="gcu")
    with side:
        assert torch.gcu.current_stream() == side
    assert torch.gcu.current_stream() == torch.gcu.default_stream()


def test_each_card_has_its_own_current_stream():
    side = torch.gcu.Stream(device=1)
    with torch.gcu.stream(side):
        assert torch.gcu.current_stream(1) == side
        assert torch.gcu.current_stream(0) == torch.gcu.default_stream(0)
    assert torch.gcu.current_stream(1) == torch.gcu.default_stream(1)


def _copy_beside_products(wait):
    """Time of a copy on a side stream and products on the current one."""
    source = torch.zeros(4 << 20).pin_memory()
    side = torch.gcu.Stream()
    x = torch.ones(1024, 1024, device="gcu")

    def work():
        main = torch.gcu.current_stream()
        with torch.gcu.stream(side):
            source.to("gcu", non_blocking=True)
        wait(main, side)
        for _ in range(4):
            x @ x
        main.wait_stream(side)

    copy_ms = source.nbytes / HOST_BYTES_PER_S * 1e3
    products_ms = 4 * 2 * 1024**3 / FP32_FLOP_PER_S * 1e3
    return elapsed_ms(work), copy_ms, products_ms


def test_a_copy_on_another_stream_runs_beside_products():
    both, copy_ms, products_ms = _copy_beside_products(lambda main, side: None)
    assert both < 1.15 * max(copy_ms, products_ms)


WAITS = {
    "wait_stream": lambda main, side: main.wait_stream(side),
    "wait_event": lambda main, side: main.wait_event(side.record_event()),
    "event.wait": lambda main, side: side.record_event().wait(main),
    "event.wait on the current stream": lambda main, side: side.record_event().wait(),
    "stream.synchronize": lambda main, side: side.synchronize(),
    "synchronize": lambda main, side: torch.gcu.synchronize(),
    "event.synchronize": lambda main, side: side.record_event().synchronize(),
}


@pytest.mark.parametrize("wait", cases(WAITS))
def test_products_that_wait_for_the_copy_run_after_it(wait):
    both, copy_ms, products_ms = _copy_beside_products(wait)
    assert both > copy_ms + products_ms


def test_products_of_two_streams_share_the_card_s_engines():
    side = torch.gcu.Stream()
    x = torch.ones(1024, 1024, device="gcu")

    def work():
        with torch.gcu.stream(side):
            x @ x
        x @ x
        torch.gcu.current_stream().wait_stream(side)

    assert elapsed_ms(work) > 2 * 2 * 1024**3 / FP32_FLOP_PER_S * 1e3


def test_two_cards_work_at_the_same_time():
    x, y = torch.ones(1024, 1024, device="gcu:0"), torch.ones(1024, 1024, device="gcu:1")

    def work():
        for _ in range(4):
            x @ x
            y @ y

    assert elapsed_ms(work) < 1.2 * elapsed_ms(products(4, 1024))


def test_an_event_waited_for_on_another_card_holds_its_work_back():
    x, y = torch.ones(1024, 1024, device="gcu:0"), torch.ones(512, 512, device="gcu:1")
    torch.gcu.synchronize(0)
    start, end = (torch.gcu.Event(enable_timing=True) for _ in range(2))
    start.record()
    x @ x
    reached = torch.gcu.current_stream(0).record_event()
    torch.gcu.current_stream(1).wait_event(reached)
    y @ y
    torch.gcu.current_stream(1).record_event(end)
    assert start.elapsed_time(end) > 2 * 1024**3 / FP32_FLOP_PER_S * 1e3


def test_queries_say_done_and_record_stream_is_accepted():
    side = torch.gcu.Stream()
    event = side.record_event()
    assert event.query() and side.query()
    torch.ones(2, device="gcu").record_stream(side)
    event.synchronize()
    side.synchronize()


def test_reading_a_value_makes_the_host_wait():
    x = torch.ones(1024, 1024, device="gcu")

    def issue_then_small_ops(read):
        y = x @ x
        if read:
            y[0, 0].item()
        for _ in range(40):
            y.view(-1)[:4].add_(1)

    waited = elapsed_ms(lambda: issue_then_small_ops(True))
    ran_ahead = elapsed_ms(lambda: issue_then_small_ops(False))
    assert waited > ran_ahead + 10 * HOST_ISSUE_MS
