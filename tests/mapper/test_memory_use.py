"""Memory over a step: its peak, who owns it there, and what was live before."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from program_lines import program, step

from suiren.mapper.memory import (
    KINDS,
    MemoryUse,
    live_before,
    memory_use,
    owners_of,
    peak_bytes,
)
from suiren.trace.program import EVENT, LIVE, Kind, Step

FORWARD, BACKWARD, OPTIMIZER, DATA = range(4)
LAW = settings(derandomize=True, deadline=None, max_examples=100)


def use(*lines: str, live: tuple = (), labels: dict | None = None) -> MemoryUse:
    found = step(*lines, live=live)
    return memory_use(program(found, labels=labels), found)


def test_the_peak_is_the_highest_sum() -> None:
    found = use("alloc 1 100 0", "alloc 2 50 0", "free 1 100 0", "alloc 3 70 0", "free 2 50 0",
                live=((3, FORWARD, 70),))  # fmt: skip
    assert found.peak_bytes == 150
    assert found.start_bytes == 0
    assert found.curve == ((0, 0), (0, 100), (1, 150), (2, 50), (3, 120), (4, 70))


def test_what_was_there_before_counts_from_the_start() -> None:
    found = use("alloc 2 50 0", "free 2 50 0", live=((1, FORWARD, 1000),))
    assert (found.start_bytes, found.peak_bytes) == (1000, 1050)


def test_what_a_step_frees_was_there_when_it_began() -> None:
    found = use("free 1 300 1", "alloc 2 10 0", live=((2, FORWARD, 10),))
    assert (found.start_bytes, found.peak_bytes) == (300, 300)


def test_a_number_that_is_used_again_is_another_allocation() -> None:
    found = use("alloc 1 10 0", "free 1 10 0", "alloc 1 99 0", "free 1 99 0")
    assert (found.start_bytes, found.peak_bytes) == (0, 99)
    assert live_before(step("free 1 10 0", "alloc 1 99 0", live=((1, 0, 99),))) == {1: (10, 0)}


@LAW
@given(st.data())
def test_rewinding_a_step_gives_what_it_began_with(data: st.DataObject) -> None:
    """Walk random allocations forward; live_before must find the start again from the end."""
    numbers, sizes = st.integers(1, 6), st.integers(1, 1000)
    began = data.draw(st.dictionaries(numbers, sizes))
    now, rows, total = dict(began), [], sum(began.values())
    peak = total
    for number, size in data.draw(st.lists(st.tuples(numbers, sizes), max_size=20)):
        if number in now:
            gone = now.pop(number)
            rows.append((Kind.FREE, number, 0, 0, gone))
        else:
            now[number] = size
            rows.append((Kind.ALLOC, number, 0, 0, size))
        peak = max(peak, sum(now.values()))
    live = [(number, 0, size) for number, size in now.items()]
    found = Step(np.array(rows, EVENT), np.zeros(0, np.int32), np.array(live, LIVE))
    assert {n: size for n, (size, _) in live_before(found).items()} == began
    use = memory_use(program(found), found)
    assert (use.start_bytes, use.peak_bytes) == (total, peak)
    assert peak_bytes(found) == peak
    assert sum(owner.bytes for owner in use.owners) == peak
    assert sum(use.by_kind().values()) == peak


def test_owners_by_what_they_are_for() -> None:
    found = use(
        "alloc 10 5 3",  # data
        "alloc 11 40 0",  # activation
        "alloc 12 7 1",  # backward, stays: a gradient
        "alloc 13 9 1",  # backward, goes
        "alloc 14 3 2",  # optimizer, stays: its state
        "alloc 15 2 2",  # optimizer, goes
        "free 13 9 1", "free 15 2 2", "free 11 40 0", "free 10 5 3",
        live=((1, FORWARD, 100), (12, BACKWARD, 7), (14, OPTIMIZER, 3)),
        labels={1: ("weights", "Net.fc.weight")},
    )  # fmt: skip
    assert tuple(found.by_kind()) == KINDS
    assert found.by_kind() == {
        "weights": 100, "gradients": 7, "optimizer state": 3, "activations": 40,
        "temporaries": 9 + 2, "data": 5, "other": 0,
    }  # fmt: skip
    assert (found.owners[0].name, found.owners[0].bytes) == ("Net.fc.weight", 100)
    assert [o.bytes for o in found.owners] == sorted((o.bytes for o in found.owners), reverse=True)


def test_the_owners_are_those_at_the_peak_and_not_at_the_end() -> None:
    found = use("alloc 1 100 0", "free 1 100 0", "alloc 2 30 1", live=((2, BACKWARD, 30),))
    assert found.by_kind()["activations"] == 100
    assert found.by_kind()["gradients"] == 0


def test_a_label_does_not_name_what_had_its_number_before() -> None:
    """Number 5 serves a gradient in this step, and a weight of a model that is built later."""
    found = use("alloc 5 64 1", "free 5 64 1", labels={5: ("weights", "Later.weight")})
    assert found.by_kind()["weights"] == 0
    assert found.by_kind()["temporaries"] == 64


def test_long_lived_storages_keep_their_labels() -> None:
    live = ((1, FORWARD, 10), (2, FORWARD, 20), (3, OPTIMIZER, 40), (4, BACKWARD, 80))
    labels = {1: ("weights", "w"), 2: ("optimizer state", "w.exp_avg")}
    kinds = use("alloc 9 1 0", "free 9 1 0", live=live, labels=labels).by_kind()
    assert (kinds["weights"], kinds["optimizer state"], kinds["gradients"]) == (10, 20 + 40, 80)


def test_owners_when_memory_runs_out() -> None:
    asked = program(labels={1: ("weights", "Net.fc.weight"), 3: ("optimizer state", "m")})
    asked.facts["out_of_memory"] = True
    owners = owners_of(asked, [(1, 500, FORWARD), (2, 300, FORWARD), (4, 200, FORWARD), (3, 9, 2)])
    assert [(o.kind, o.name, o.bytes) for o in owners] == [
        ("activations", "Net.fc", 500),
        ("weights", "Net.fc.weight", 500),
        ("optimizer state", "m", 9),
    ]
