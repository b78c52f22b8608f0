"""One small thing from every room, without torch: what the pre-commit hook runs."""

from __future__ import annotations

import json

from click.testing import CliRunner
from rich.console import Console

from suiren.advise.asked import asked_of, period_s
from suiren.advise.fit import fit
from suiren.cli import suiren
from suiren.dtype import FORMATS
from suiren.events.queue import Cost, Queues
from suiren.hw.check import faults
from suiren.hw.load import resolve_card
from suiren.mapper.memory import memory_use
from suiren.mapper.price import price
from suiren.mapper.step import Prices, steady_step
from suiren.report.answer import answer
from suiren.report.document import document
from suiren.report.screen import render
from suiren.trace.call import parse_call
from suiren.trace.program import Program
from suiren.trace.text import parse_program, print_program
from suiren.units import GiB, show_bytes

TOY = resolve_card("toy")
N = 1024
MM = f"aten::mm(self=bf16[{N},{N}],mat2=bf16[{N},{N}])->(bf16[{N},{N}])"


def program() -> Program:
    """Ten equal steps of two products; built as text, so that it stays readable."""
    written = Program(calls=[parse_call(MM)], facts={"script": "tiny.py"})
    lines = list(print_program(written))
    order = next(i for i, line in enumerate(lines) if line.startswith("order"))
    lines[order : order + 1] = [
        "step 0",
        "alloc 9 2097152 0 0",
        "op 0 0 0 1 2 9",
        "op 0 0 0 9 2 3",
        "free 9 2097152 0 0",
        "live 1 4194304 0",
        "order " + " ".join(["0"] * 10),
    ]
    lines.insert(2, "context 0 forward Tiny.fc")
    return parse_program("\n".join(lines) + "\n")


def test_units_show_a_capacity() -> None:
    assert show_bytes(32 * GiB) == "32.00 GiB"


def test_a_format_knows_its_width() -> None:
    assert FORMATS["bf16"].itemsize_bytes == 2


def test_hardware_adds_up() -> None:
    assert faults(TOY) == []
    assert TOY.peak_flop_per_s("bf16") == 16 * 1024 * 2 * 1e9


def test_a_trace_parses_what_it_prints() -> None:
    assert str(parse_call(MM)) == MM
    assert list(print_program(parse_program("\n".join(print_program(program()))))) == list(
        print_program(program())
    )


def test_a_queue_is_in_order() -> None:
    queues = Queues(issue_ps=1)
    queues.run([(0, 0, 0, 0, 0)] * 3, lambda _: Cost(10, 2, "matrix"))
    assert queues.end_ps() == 1 + 3 * 12


def test_the_mapper_prices_a_product_at_its_roofline() -> None:
    priced = price(parse_call(MM), TOY)
    assert priced.roofline_s == 2 * N**3 / TOY.peak_flop_per_s("bf16")
    assert priced.busy_s >= priced.roofline_s


def test_memory_has_a_peak_and_an_owner() -> None:
    asked = program()
    use = memory_use(asked, asked.distinct[0])
    assert use.peak_bytes == 4194304 + 2097152
    assert fit(use, 16 * GiB, 1, None).largest_batch > 0


def test_advice_times_the_step_as_the_clock_does() -> None:
    asked = program()
    steady_ps = steady_step(asked, Prices(asked.calls, TOY), 0).period_ps
    assert period_s(asked_of(asked, asked.distinct[0]), TOY) == steady_ps / 1e12


def test_a_report_is_a_document_and_a_screen() -> None:
    found = answer(program(), TOY)
    assert json.loads(json.dumps(document(found)))["model_flop"] == 2 * 2 * N**3
    console = Console(width=100, record=True, file=None, quiet=True)
    console.print(render(found))


def test_the_command_line_lists_the_catalogue() -> None:
    ran = CliRunner().invoke(suiren, ["chips"])
    assert ran.exit_code == 0
    assert "t21" in ran.output
