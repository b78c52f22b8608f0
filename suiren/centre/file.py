"""A centre file, read and checked: one sentence for every mistake.

```toml
title = "1,000 T21 modules"
currency = "CNY"

[machines]
name = "t21x8"
nodes = 125

[power]
pue = 1.25
site_limit_w = 2e6

[[job]]
model = "llama2-70b"
tokens = 1e12
global_batch = 1536

[goal]
days = 60
```
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from suiren.centre.tables import CentreTable, JobTable
from suiren.hw.chipfile import BadChipFile, Number


class BadCentreFile(BadChipFile):
    """A centre file that cannot be used; `faults` holds one sentence for each reason."""


def load_tables(path: str | Path) -> CentreTable:
    """The tables of a file; raises BadCentreFile with a sentence for each fault."""
    file = Path(path)
    if not file.is_file():
        raise BadCentreFile(str(file), ["there is no such file"])
    try:
        return parse(file.read_text(encoding="utf-8"), str(file))
    except UnicodeDecodeError as error:
        raise BadCentreFile(str(file), [f"it is not UTF-8 text: {error}"]) from None
    except OSError as error:
        raise BadCentreFile(str(file), [f"it cannot be read: {error.strerror}"]) from None


def parse(text: str, name: str = "centre") -> CentreTable:
    """The tables of a text; `name` is what messages call it."""
    try:
        tables = CentreTable.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadCentreFile(name, [f"it is not TOML: {error}"]) from None
    except ValidationError as error:
        found = list(dict.fromkeys(_sentence(fault) for fault in error.errors()))
        raise BadCentreFile(name, found) from None
    faults = [*_machine_faults(tables), *_number_faults(tables)]
    for number, job in enumerate(tables.job, 1):
        faults += [f"[[job]] {job.name or number}: {fault}" for fault in _job_faults(job)]
    if faults:
        raise BadCentreFile(name, faults)
    return tables


def _machine_faults(tables: CentreTable) -> list[str]:
    machines, prices, power = tables.machines, tables.prices, tables.power
    failures = tables.failures
    own = [n for n in ("card_days", "node_days", "switch_days") if getattr(failures, n) is not None]
    rules = (
        ((machines.nodes is None) == (machines.cards is None),
         "[machines] needs either nodes or cards: how many are bought"),
        (prices.node is not None and (prices.card is not None or prices.host is not None),
         "[prices] node is the price with its cards; give it or card and host, not both"),
        (power.pue is not None and power.cooling is not None,
         "[power] needs pue or cooling, not both"),
        (bool(own) and failures.rates is not None,
         f"[failures] gives rates and {', '.join(own)}; one of both says how often things fail"),
    )  # fmt: skip
    return [sentence for wrong, sentence in rules if wrong]


def _job_faults(job: JobTable) -> list[str]:
    found = []
    if (job.model is None) == (job.step_s is None):
        found.append("needs either model, or step_s with step_cards and card_w")
    if sum(amount is not None for amount in (job.tokens, job.samples, job.steps)) != 1:
        found.append("needs one of tokens, samples and steps: how much is trained")
    if job.global_batch is None and (job.model is not None or job.samples is not None):
        found.append("global_batch is missing: sequences of a step")
    if job.step_s is not None:
        found += [f"{name} is missing beside step_s" for name in ("step_cards", "card_w")
                  if getattr(job, name) is None]  # fmt: skip
        if job.tokens is not None:
            found.append("tokens need a model; beside step_s give steps or samples")
    if job.layout.zero >= 2 and job.layout.pp not in (None, 1, [1]):
        found.append(f"zero {job.layout.zero} shards weights without a pipeline; pp must be 1")
    return found


def _number_faults(tables: CentreTable) -> list[str]:
    """Numbers with a source that no machine could have."""
    found = []
    for place, number in numbers_of(tables):
        least = 1.0 if place == "power.pue" else 0.0
        free = place.endswith(("_w", "carbon_kg_per_kwh", "water_l_per_kwh", "detect_s",
                               "restart_s", "repair_h")) and "limit" not in place  # fmt: skip
        if number.value < least or (not free and number.value == 0):
            asked = "at least" if free or place == "power.pue" else "above"
            found.append(f"{place} is {number.value:g}; it must be {asked} {least:g}")
    return found


def numbers_of(tables: CentreTable) -> list[tuple[str, Number]]:
    """(table.field, number) of every given number that may carry a source."""
    found = []
    for table in ("machines", "network", "power", "failures", "storage"):
        part: BaseModel = getattr(tables, table)
        for field in type(part).model_fields:
            value = getattr(part, field)
            if isinstance(value, Number):
                found.append((f"{table}.{field}", value))
    return found


def _sentence(fault: Any) -> str:
    """What pydantic found, in the words of the file."""
    shown = [part for part in fault["loc"]
             if not str(part).startswith(("function-", "constrained", "list["))]  # fmt: skip
    place = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in shown)
    if fault["type"] == "extra_forbidden":
        return f"{place} is no field of a centre file{_near(place)}"
    if fault["type"] == "missing":
        return f"{place} is missing"
    reason = str(fault["msg"]).replace("Input should be", "it must be")
    return f"{place} is {fault['input']!r}; {reason[0].lower()}{reason[1:]}"


def _near(place: str) -> str:
    known: set[str] = set()
    todo: list[type[BaseModel]] = [CentreTable]
    while todo:
        for name, field in todo.pop().model_fields.items():
            known.add(name)
            inner = (field.annotation, *getattr(field.annotation, "__args__", ()))
            todo += [t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)]
    near = get_close_matches(place.rpartition(".")[2], sorted(known), 1, 0.6)
    return f"; near it: {near[0]}" if near else ""
