"""The options of `suiren plan` as a question."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import click

from suiren.plan.problem import BadProblem, Limits, Machine, Problem

_NUMBERS = ("tp", "pp", "vpp", "cp", "ep", "micro_batch", "zero")


@contextmanager
def mistakes() -> Iterator[None]:
    """A user's mistake is one sentence."""
    from suiren.fleet.layout import BadLayout
    from suiren.fleet.model import BadModel
    from suiren.hw.chipfile import BadChipFile
    from suiren.hw.clusterfile import BadClusterFile
    from suiren.hw.find_cluster import UnknownCluster
    from suiren.hw.names import UnknownChip

    try:
        yield
    except (BadProblem, BadLayout, BadModel, BadChipFile, BadClusterFile, UnknownCluster,
            UnknownChip) as problem:  # fmt: skip
        raise click.UsageError(str(problem)) from None


def problem_of(options: dict[str, Any]) -> Problem:
    """The question; raises BadProblem and what clusters and models raise."""
    tokens = options["tokens"]
    for name in ("tokens", "days", "power_w", "budget", "memory_gib"):
        if not math.isfinite(options[name]) or options[name] < 0:
            said = name.removesuffix("_w").removesuffix("_gib")
            raise BadProblem(f"--{said} {options[name]:g} is not understood: say a number above 0")
    return Problem(
        model=options["model"], machines=tuple(_machines(options)),
        global_batch=options["global_batch"], seq=options["seq"], goal=options["goal"],
        limits=Limits(memory_bytes=options["memory_gib"] * 2**30, power_w=options["power_w"],
                      deadline_s=options["days"] * 86400, budget=options["budget"]),
        choices=dict(_choices(options)), arguments=options["arguments"],
        lora_rank=options["lora_rank"], tokens=tokens,
        framework=options["framework"] or ("megatron-core" if options["formula"] else "pytorch"),
    )  # fmt: skip


def _machines(options: dict[str, Any]) -> Iterator[Machine]:
    from suiren.hw.find_cluster import cluster_of

    prices = dict(_prices(options["prices"]))
    wanted: list[int | None] = [None]
    if options["ranks"]:
        wanted = list(_ints("ranks", options["ranks"]))
    for name in options["machines"]:
        for ranks in wanted:
            found = cluster_of(name, ranks)
            yield Machine(name=name, ranks=ranks or found.num_ranks,
                          price_per_card_hour=prices.get(name, prices.get("", 0.0)))  # fmt: skip
    for name in set(prices) - {"", *options["machines"]}:
        raise BadProblem(f"a price is given for {name!r}, which is no machine of this plan; "
                         f"machines are {', '.join(options['machines'])}")  # fmt: skip


def _prices(given: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for text in given:
        name, equals, money = text.rpartition("=")
        try:
            price = float(money)
        except ValueError:
            price = -1.0
        if not 0 < price < math.inf or (equals and not name):
            raise BadProblem(f"--price {text} is not understood: say MACHINE=MONEY, such as "
                             "t20x8=1.50, or one number for all machines")  # fmt: skip
        yield name, price


def _choices(options: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    from suiren.fleet.layout import Recompute, Schedule

    words = {"recompute": get_args(Recompute), "schedule": get_args(Schedule),
             "precision": ("fp32", "tf32", "fp16", "bf16", "fp8"),
             "offload": ("none", "optimizer")}  # fmt: skip
    for name in (*_NUMBERS, *words):
        text = options.get(name)
        if text is None:
            continue
        if name in _NUMBERS:
            yield name, tuple(_ints(name, text))
            continue
        values = tuple(part.strip() for part in text.split(","))
        for value in values:
            if value not in words[name]:
                raise BadProblem(f"--{name} {value} is not known; known are "
                                 f"{', '.join(words[name])}")  # fmt: skip
        yield name, values


def _ints(name: str, text: str) -> list[int]:
    least = 0 if name == "zero" else 1
    found = []
    for part in text.split(","):
        if not part.strip().isdigit() or int(part) < least:
            raise BadProblem(f"--{name.replace('_', '-')} {text} is not understood: say numbers "
                             f"from {least} up, such as 1,2,4")  # fmt: skip
        found.append(int(part))
    return found
