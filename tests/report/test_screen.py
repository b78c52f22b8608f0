"""The answer on a terminal: complete at any width, whatever the names hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console
from told import ODD, RELU, TRAINING, out_of_memory, program, trained, without_flop

from suiren.hw.catalog import CARDS
from suiren.report.answer import SPLIT, Answer, answer
from suiren.report.screen import render, shown_parts
from suiren.trace.program import Context, Label
from suiren.units import show_time


def shown(told: Answer, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(render(told))
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("make", [trained, without_flop, out_of_memory])
def test_it_fits_its_width(make: Callable[[], Answer], width: int) -> None:
    text = shown(make(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "step time" in text


@pytest.mark.parametrize("card", ["toy", "t21", "tpu-v5e", "mi300x", "hanguang800"])
def test_it_renders_for_every_shape_of_card(card: str) -> None:
    assert CARDS[card].title in shown(trained(card))


def test_it_tells_what_a_reader_asks() -> None:
    told = trained()
    text = shown(told)
    for part in (
        "train.py on Toy card", "(simulated)", show_time(told.step_time_s), "10 steps ran",
        "samples/s", "tokens/s", "batch 4 × 128", "MFU", "HFU", "peak memory",
        "72.00 MiB of 16.00 GiB",
        "largest batch that fits", "W on average of 100 W", "who owns the memory", "Net.fc.weight",
        "approximated ops", "mine::odd", "fallbacks to the host: none", "porting hazards",
        "assumed facts this rests on", "changes that would help most",
        *(p for p in SPLIT if p not in ("collective", "peer", "host work")),
    ):  # fmt: skip
        assert part in text, part


def test_parts_of_many_ranks_are_shown_where_there_are_some() -> None:
    told = trained()
    assert "collective" not in shown_parts(told)
    met = replace(told, split_s={**told.split_s, "collective": 1e-4})
    assert shown_parts(met)[-2:] == ["collective", "idle"]


def test_the_largest_op_comes_first() -> None:
    text = shown(trained())
    assert text.index("mm ") < text.index("relu ")


def test_what_would_fit_is_told_when_memory_ran_out() -> None:
    assert "largest batch that fits: 3" in shown(out_of_memory())


def test_no_advice_is_said_too() -> None:
    assert "no change that we can simulate" in shown(trained(advise=False))


@pytest.mark.parametrize("name", ["a[/b].py", "train[bold].py", "[red]x[/red].py", "x[/].py"])
def test_brackets_of_a_script_stand_as_they_are(name: str) -> None:
    found = answer(program(TRAINING, script=name), CARDS["toy"], advise=False)
    assert f"{name} on Toy card" in shown(found)


@pytest.mark.parametrize("name", ["Net[/b]", "Net.layers[bold].w", "[/]"])
def test_brackets_of_modules_and_owners_stand_as_they_are(name: str) -> None:
    asked = program([(RELU, 0), (ODD, 1)])
    asked.contexts = [Context(c.phase, name) for c in asked.contexts]
    asked.labels = {1: Label("weights", name)}
    assert name in shown(answer(asked, CARDS["toy"], advise=False))


def test_brackets_of_ops_stand_as_they_are() -> None:
    asked = program([(RELU, 0)])
    asked.calls = [replace(call, op="mine::a[/b]") for call in asked.calls]
    assert "mine::a[/b]" in shown(answer(asked, CARDS["toy"], advise=False))


def test_brackets_of_a_users_own_card_stand_as_they_are() -> None:
    card = replace(CARDS["toy"], title="my [/x] card")
    assert "my [/x] card" in shown(answer(program(TRAINING), card, advise=False))
