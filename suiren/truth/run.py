"""A whole file of measurements, predicted in parallel; nothing that was computed is lost."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

from suiren.truth.predict import Prediction, predict
from suiren.truth.rows import Row

#: Rows that one worker takes at a time.
CHUNK = 64


def run(
    rows: Sequence[Row],
    on: str | None = None,
    processes: int | None = None,
    seen: Callable[[int], None] = lambda rows: None,
) -> list[Prediction]:
    """Predictions in the order of the rows. `seen` is told of rows as they are done.

    A worker that dies costs its chunk a second try in this process.
    """
    processes = processes or os.cpu_count() or 1
    chunks = [list(rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]
    if processes == 1 or len(chunks) < 2:
        found = []
        for chunk in chunks:
            found += _chunk(chunk, on)
            seen(len(chunk))
        return found
    done: dict[int, list[Prediction]] = {}
    with suppress(BrokenProcessPool):
        _spread(chunks, on, processes, done, seen)
    for number, chunk in enumerate(chunks):
        if number not in done:
            done[number] = _chunk(chunk, on)
            seen(len(chunk))
    return [p for number in range(len(chunks)) for p in done[number]]


def _spread(
    chunks: list[list[Row]], on: str | None, processes: int, done: dict[int, list[Prediction]],
    seen: Callable[[int], None],
) -> None:  # fmt: skip
    with ProcessPoolExecutor(processes) as pool:
        waiting: dict[Future[list[Prediction]], int] = {}
        numbers = iter(range(len(chunks)))
        while True:
            for number in numbers:
                waiting[pool.submit(_chunk, chunks[number], on)] = number
                if len(waiting) >= 2 * processes:
                    break
            if not waiting:
                return
            ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                number = waiting.pop(future)
                done[number] = future.result()
                seen(len(chunks[number]))


def _chunk(rows: Iterable[Row], on: str | None) -> list[Prediction]:
    return [predict(row, on) for row in rows]


def write_rows(path: str | Path, found: Iterable[Prediction]) -> None:
    """One line a row: `id,hardware,measured_s,predicted_s,status`."""
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "hardware", "measured_s", "predicted_s", "status"))
        for one in found:
            measured = "" if one.row.measured_s is None else f"{one.row.measured_s:.9g}"
            seconds = "" if one.seconds is None else f"{one.seconds:.9g}"
            writer.writerow((one.row.id, one.row.hardware, measured, seconds, one.status))
