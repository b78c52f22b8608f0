"""Writes docs/models.md: what every architecture did, as one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from zoo.step import GRADIENT_BOUND, LOSS_BOUND, Row

_HEAD = """# Models

One training step of every architecture that an `AutoModel` class of transformers can build:
forward, backward and AdamW, written as for CUDA, with random weights. Each runs on plain CPU and on
the card from the same seed; random numbers inside a model are drawn on the host for both.

```
python benchmarks/architectures.py --page docs/models.md    # {conditions}
```

The configuration is the architecture's default, shrunk by rules on the names of its fields
(`benchmarks/zoo/shrink.py`); the inputs follow from the parameters of its forward
(`benchmarks/zoo/feed.py`). Where a model has no loss of its own the mean square of its outputs is
trained.

A row is **equal** if the loss differs from the host's by at most {loss:.0e} of it, and all
gradients together by at most {gradient:.0e} of their norm, in FP32 with TF32 off; for BF16 weights
the bounds are {loss16:.1e} and {gradient16:.1e}. The card computes with the kernels of the
host, so most are equal to the bit.

{summary}

**Approximated** is the share of the step's simulated time in ops whose traffic alone was counted,
and theirs in percent.
**Hazards** are those that a port to the chip meets, counted in one step.

| architecture | class | parameters | loss | FP32 | difference | BF16 | approximated | hazards |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def page(rows: Sequence[Row], conditions: str) -> str:
    """The whole page in Markdown."""
    rows = sorted(rows, key=lambda row: row.name)
    ran = [row for row in rows if row.outcome != "not tried"]
    rest = [row for row in rows if row.outcome == "not tried"]
    loss, gradient = list(LOSS_BOUND.values()), list(GRADIENT_BOUND.values())
    head = _HEAD.format(
        conditions=conditions, summary=_summary(ran, rest), loss=loss[0], gradient=gradient[0],
        loss16=loss[1], gradient16=gradient[1],
    )  # fmt: skip
    return head + "".join(map(_line, ran)) + _by_op(ran) + _doubts(ran) + _untried(rest)


def _summary(ran: Sequence[Row], rest: Sequence[Row]) -> str:
    equal = [row for row in ran if row.outcome == "equal"]
    bits = [row for row in equal if row.loss_difference == 0 and row.gradient_difference == 0]
    half = [row for row in ran if row.bf16_outcome != "not tried"]
    half_equal = [row for row in half if row.bf16_outcome == "equal"]
    exact = [row for row in equal if not row.approximated_share]
    share = 100 * len(equal) / len(ran) if ran else 0
    return (
        f"Of {len(ran) + len(rest)} architectures {len(ran)} train on plain CPU in this form. "
        f"Of these **{len(equal)} ({share:.1f} %) are equal on the card**, {len(bits)} to the bit. "
        f"With BF16 weights {len(half)} run on the host and {len(half_equal)} of them are equal on "
        f"the card. In {len(exact)} no time was approximated.\n\n{len(rest)} were not tried: "
        "their default configuration, or the inputs made here, did not train on plain CPU, or not "
        "in the time given; they are listed below."
    )


def _line(row: Row) -> str:
    apart = max(row.loss_difference or 0.0, row.gradient_difference or 0.0)
    hazards = ", ".join(f"{kind} {count}" for kind, count in sorted(row.hazards.items()))
    cells = [
        f"`{row.name}`", row.class_name, f"{row.parameters:,}",
        f"{row.loss:.4g}" if row.loss is not None else "", row.outcome,
        f"{apart:.1g}" if row.loss_difference is not None else "", row.bf16_outcome,
        _share(row),
        hazards,
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |\n"


def _share(row: Row) -> str:
    """How much of the step was approximated, and by which ops, in percent."""
    if row.approximated_share is None:
        return ""
    by_op = ", ".join(f"`{op}` {100 * s:.3g}" for op, s in sorted(row.approximated.items()))
    return f"{100 * row.approximated_share:.3g} %" + (f": {by_op}" if by_op else "")


def _by_op(ran: Sequence[Row]) -> str:
    shares: dict[str, list[float]] = {}
    for row in ran:
        for op, share in row.approximated.items():
            shares.setdefault(op, []).append(share)
    if not shares:
        return ""
    ranked = sorted(shares.items(), key=lambda item: (-len(item[1]), item[0]))
    lines = [f"| `{op}` | {len(s)} | {100 * max(s):.1f} % |\n" for op, s in ranked]
    head = "\n## Ops whose time was approximated\n\n| op | architectures | largest share |\n"
    return head + "| --- | --- | --- |\n" + "".join(lines)


def _doubts(ran: Sequence[Row]) -> str:
    lines = [f"* `{row.name}`: {row.outcome}. {_told(row.reason)}\n"
             for row in ran if row.outcome != "equal"]  # fmt: skip
    lines += [f"* `{row.name}` in BF16: {row.bf16_outcome}. {_told(row.bf16_reason)}\n"
              for row in ran if row.bf16_outcome in ("differs", "fails")]  # fmt: skip
    return "\n## Not equal, and why\n\n" + ("".join(lines) or "None.\n")


def _untried(rest: Sequence[Row]) -> str:
    lines = [f"* `{row.name}`: {_told(row.reason)}\n" for row in rest]
    return "\n## Not tried, and why\n\n" + ("".join(lines) or "None.\n")


def _told(reason: str) -> str:
    """A reason that fits a line and is safe in Markdown."""
    text = reason.replace("`", "'").replace("|", "/").replace("<", "‹").replace("*", "·")
    return text if len(text) <= 180 else text[:179] + "…"


_TRIED = re.compile(r"^\| `([^`]+)` \|(.*)\|$", re.M)
_DOUBT = re.compile(r"^\* `([^`]+)`( in BF16)?: (differs|fails)\. (.*)$", re.M)
_UNTRIED = re.compile(r"^\* `([^`]+)`: (.*)$", re.M)
_OP = re.compile(r"`([^`]+)` ([\d.e+-]+)")
_HAZARD = re.compile(r"([^,]+) (\d+)(?:, |$)")
NOT_RUN = "not run yet"


def rows_in(text: str) -> list[Row]:
    """The rows of a page that `page` wrote, as exactly as it shows them; those not run left out."""
    main, _, rest = text.partition("\n## Not tried, and why\n")
    head, _, doubts = main.partition("\n## Not equal, and why\n")
    table = head.partition("\n## Ops whose time was approximated\n")[0]
    rows = {name: _row(name, line) for name, line in _TRIED.findall(table)}
    for name, in_bf16, _, reason in _DOUBT.findall(doubts):
        rows[name] = replace(rows[name], **{"bf16_reason" if in_bf16 else "reason": reason})
    untried = [Row(name, reason=reason) for name, reason in _UNTRIED.findall(rest)]
    return [*rows.values(), *(row for row in untried if row.reason != NOT_RUN)]


def _row(name: str, line: str) -> Row:
    kind, parameters, loss, outcome, apart, bf16, share, hazards = (
        cell.strip() for cell in line.split("|")
    )
    difference = float(apart) if apart else None
    return Row(
        name, kind, outcome, parameters=int(parameters.replace(",", "")),
        loss=float(loss) if loss else None, loss_difference=difference,
        gradient_difference=difference, bf16_outcome=bf16,
        approximated_share=float(share.split("%")[0]) / 100 if share else None,
        approximated={op: float(part) / 100 for op, part in _OP.findall(share)},
        hazards={what.strip(): int(count) for what, count in _HAZARD.findall(hazards)},
    )  # fmt: skip
