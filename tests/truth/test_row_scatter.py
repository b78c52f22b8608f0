"""What a table leaves open: rows of one condition, and rows beside the line of their neighbours."""

from __future__ import annotations

import pytest

from suiren.truth.rows import Row
from suiren.truth.scatter import again, off_line


def row(number: int, size: float, seconds: float | None, op: str = "all_reduce") -> Row:
    return Row(f"r{number}", "box", op, {"size": str(int(size))}, "", seconds, "s", "", "", "check",
               number, "")  # fmt: skip


def series(rows: list[Row]) -> dict[str, float]:
    return off_line(rows, lambda r: r.op, lambda r: float(r.size("size")))


def test_two_times_of_one_condition_are_as_far_apart_as_the_nearest_number_leaves_them() -> None:
    rows = [row(0, 8, 1.0), row(1, 8, 1.25), row(2, 16, 9.0)]
    found = again(rows, lambda r: r.size("size"))
    # 1.0 errs by 20 % on the second row, 1.25 by 25 % on the first
    assert found == {"r0": 0.0, "r1": pytest.approx(0.2)}


def test_a_row_that_stands_twice_is_one_measurement() -> None:
    assert again([row(0, 8, 1.0), row(1, 8, 1.0)], lambda r: r.size("size")) == {}


def test_no_number_does_better_than_the_best_one() -> None:
    times = [1.0, 1.1, 1.7, 2.3, 0.8]
    found = again([row(n, 8, t) for n, t in enumerate(times)], lambda r: r.size("size"))
    mean = sum(found.values()) / len(times)
    for tried in (0.05 * k for k in range(10, 60)):
        assert sum(abs(tried / t - 1) for t in times) / len(times) >= mean - 1e-9


def test_a_power_of_the_size_lies_on_its_line_and_a_bump_does_not() -> None:
    rows = [row(k, 2**k, 3e-6 * 2 ** (0.7 * k)) for k in range(10, 16)]
    assert max(series(rows).values()) < 1e-9
    assert sorted(series(rows)) == ["r11", "r12", "r13", "r14"]
    bumped = [row(r.number, r.size("size"), r.measured_s * (2 if r.number == 12 else 1))
              for r in rows if r.measured_s]  # fmt: skip
    assert series(bumped)["r12"] == pytest.approx(0.5)


def test_far_neighbours_other_series_and_rows_without_a_time_say_nothing() -> None:
    assert series([row(0, 1, 1.0), row(1, 2, 1.0), row(2, 16, 1.0)]) == {}
    assert series([row(0, 8, 1.0), row(1, 9, 1.0, "send"), row(2, 10, 1.0)]) == {}
    assert series([row(0, 8, 1.0), row(1, 9, None), row(2, 10, 1.0)]) == {}
