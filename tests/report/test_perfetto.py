"""The trace for Perfetto: valid events, durations that sum to the step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from told import MiB, out_of_memory, trained, without_flop

from suiren.report.answer import Answer
from suiren.report.perfetto import trace_events, write_trace


def of(kind: str, told: Answer) -> list[dict[str, Any]]:
    return [event for event in trace_events(told) if event["ph"] == kind]


@pytest.mark.parametrize("make", [trained, without_flop, out_of_memory])
def test_every_event_is_one_that_viewers_know(make: Callable[[], Answer]) -> None:
    for event in trace_events(make()):
        assert event["ph"] in ("M", "X", "C")
        assert isinstance(event["name"], str)
        assert event["pid"] == 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert {"tid", "ts", "cat", "args"} <= event.keys()
        if event["ph"] in "XC":
            assert event["ts"] >= 0


def test_spans_sum_to_the_step() -> None:
    """One stream and no copies beside it: what is shown is the step, to the picosecond."""
    told = without_flop()
    total_us = sum(event["dur"] for event in of("X", told))
    assert total_us == pytest.approx(told.step_time_s * 1e6, abs=1e-5)


def test_spans_of_a_stream_follow_each_other() -> None:
    end = 0.0
    for event in of("X", without_flop()):
        assert event["ts"] == pytest.approx(end, abs=1e-6)
        end = event["ts"] + event["dur"]


def test_every_op_is_shown_with_its_call_and_place() -> None:
    ops = [event for event in of("X", trained()) if event["cat"] == "op"]
    assert [event["name"] for event in ops].count("aten::mm") == 3
    mm = next(event for event in ops if event["name"] == "aten::mm")
    assert mm["args"]["call"].startswith("aten::mm(self=f32[512,1024]")
    assert (mm["args"]["phase"], mm["args"]["module"]) == ("forward", "Net.fc")
    assert mm["args"]["why"] in ("matrix", "memory", "l2")


def test_tracks_are_named_after_device_and_stream() -> None:
    names = {event["args"]["name"] for event in of("M", trained())}
    assert names == {"Toy card (simulated)", "gcu:0 stream 0"}


def test_the_counter_of_memory_reaches_the_peak_and_comes_back() -> None:
    told = trained()
    sizes = [event["args"]["bytes"] for event in of("C", told)]
    assert max(sizes) == told.peak_bytes == (16 + 7 * 8) * MiB
    assert sizes[-1] == 16 * MiB
    times = [event["ts"] for event in of("C", told)]
    assert times == sorted(times)


def test_the_file_is_json_that_viewers_open(tmp_path: Path) -> None:
    write_trace(trained(), tmp_path / "t.json")
    told = json.loads((tmp_path / "t.json").read_text())
    assert told["traceEvents"] == json.loads(json.dumps(trace_events(trained())))
    assert told["displayTimeUnit"] in ("ms", "ns")
