"""A file of measurements, kernels or training steps, plain or gzipped, read row by row."""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import dataclass
from pathlib import Path

from suiren.truth.rates import seconds_of, step_seconds_of
from suiren.truth.recipes import filled

#: Columns without which a file says nothing.
NEEDED_KERNEL = ("id", "hardware", "op", "shape", "measured_value")
NEEDED_TRAIN = ("id", "hardware", "model")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PAIR = re.compile(r"([^=,]+)=([^,=]*)(?:,|$|\s(?=[A-Za-z#]+\s*=))")


class BadMeasurements(ValueError):  # noqa: N818 - reads as what it is
    """A file that cannot be read as measurements; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. `shape` holds the sizes by name, as strings."""

    id: str
    hardware: str
    op: str
    shape: dict[str, str]
    dtype: str
    measured_s: float | None
    """None where the row tells a rate of something unknown, or nothing."""
    unit: str
    source: str
    notes: str
    split: str
    number: int
    """Line of the file, the header being line 1."""
    text: str
    """The shape as written."""

    def size(self, *names: str) -> int:
        """The first of the named sizes that the shape gives; KeyError if it gives none."""
        for name in names:
            if name in self.shape:
                return int(float(self.shape[name]))
        raise KeyError(names[0])


def read_rows(path: str | Path) -> list[Row]:
    """All rows of a file; raises BadMeasurements where it is no table of measurements."""
    file = Path(path)
    if not file.is_file():
        raise BadMeasurements(f"{path}: there is no such file")
    try:
        with _open(file) as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            training = "model" in columns and "shape" not in columns
            missing = [c for c in (NEEDED_TRAIN if training else NEEDED_KERNEL) if c not in columns]
            if missing:
                raise BadMeasurements(
                    f"{path}: the column{'s' * (len(missing) > 1)} {', '.join(missing)} "
                    f"{'are' if len(missing) > 1 else 'is'} missing; it has "
                    f"{', '.join(columns) or 'none'}"
                )
            make = _training if training else _kernel
            return [make(record, n) for n, record in enumerate(reader, 2)]
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as problem:
        raise BadMeasurements(f"{path}: it cannot be read as a table: {problem}") from None


def _open(file: Path):  # type: ignore[no-untyped-def]
    with file.open("rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    if zipped:
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")


def _kernel(record: dict[str, str], number: int) -> Row:
    text = record.get("shape") or ""
    unit = record.get("unit") or _unit_of(record.get("measured_metric") or "", text)
    value = _number(record.get("measured_value"))
    if value is not None and unit in _SECONDS:
        seconds: float | None = value * _SECONDS[unit]
    else:
        seconds = seconds_of(record, value)
    return Row(
        record.get("id") or f"line {number}", record.get("hardware") or "", record.get("op") or "",
        _shape(text), record.get("dtype") or "", seconds, unit, record.get("source") or "",
        record.get("notes") or "", record.get("split") or "", number, text,
    )  # fmt: skip


def _unit_of(metric: str, shape: str) -> str:
    """The unit of a table that prints it in a heading, or beside the terms of a sum."""
    summed = metric == "Total Time" and "(msec)=" in shape
    return "ms" if "msec" in metric or summed else ""


def _training(record: dict[str, str], number: int) -> Row:
    record = filled(record)
    shape = {k: v for k, v in record.items() if isinstance(v, str) and v}
    return Row(
        record.get("id") or f"line {number}", record.get("hardware") or "", "training step",
        shape, record.get("precision") or "",
        _number(record.get("step_time_s")) or step_seconds_of(record), "s",
        record.get("source") or "", record.get("notes") or "", record.get("split") or "", number,
        record.get("model") or "",
    )  # fmt: skip


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


def _shape(text: str) -> dict[str, str]:
    """`M=81,N=3584` or `bs=10 channel=6` by name; bare numbers by their place."""
    found = {name.strip(): value.strip() for name, value in _PAIR.findall(text)}
    if found:
        return found
    parts = [p.strip() for p in text.split(",")]
    return {str(n): p for n, p in enumerate(parts) if p.isdigit()}


def sample(rows: list[Row], count: int) -> list[Row]:
    """`count` rows spread evenly over the file: the same ones every time."""
    if count >= len(rows):
        return rows
    return [rows[i * len(rows) // count] for i in range(count)]
