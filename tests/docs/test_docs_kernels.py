"""The chapters on kernels hold: their code runs, their outputs and numbers are the program's."""

from __future__ import annotations

import re
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from doc_blocks import ROOT, blocks, commands, promised, runs_python, stable, suiren

from suiren import emulate, time_kernel
from suiren.core.instruction import INSTRUCTIONS
from suiren.core.kernel import Kernel

KERNELS = ROOT / "docs" / "kernels.md"
TUTORIAL = ROOT / "docs" / "tutorial_kernels.md"
STEPS = [
    value
    for name in ("softmax", "matmul")
    for value in runpy.run_path(str(ROOT / "examples" / "kernels" / f"{name}.py")).values()
    if isinstance(value, Kernel)
]
#: `| softmax_1 | 657 µs | 20 % | …`
_ROW = re.compile(r"^\| `(\w+)` \| ([\d.]+) (µs|ms) \| (\d+) % \|", re.MULTILINE)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("chapter", [KERNELS, TUTORIAL], ids=lambda path: path.stem)
def test_every_python_block_runs_and_prints_what_is_shown(chapter: Path) -> None:
    shown = promised(chapter)
    for block, printed in runs_python(chapter):
        assert stable(printed) == stable(shown.get(block.line, "")), f"{chapter}:{block.line}"


@pytest.mark.parametrize(("command", "shown"), [
    pytest.param(*pair, id=pair[0]) for path in (KERNELS, TUTORIAL) for pair in commands(path)
])  # fmt: skip
def test_every_command_prints_what_is_shown(command: str, shown: str) -> None:
    said = stable(suiren(command))
    for line in stable(shown):
        assert line in said, "\n".join([command, *said])


def test_what_a_step_changes_stands_in_its_example() -> None:
    examples = {
        line.strip()
        for path in (ROOT / "examples" / "kernels").glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
    }
    changes = [block.text for block in blocks(TUTORIAL) if block.language == "diff"]
    assert len(changes) >= 9
    assert {line[1:].strip() for text in changes for line in text.splitlines()} <= examples


def test_the_table_of_instructions_is_the_set() -> None:
    found: dict[str, tuple[str, float, float]] = {}
    for line in KERNELS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[1] in ("matrix", "vector", "special"):
            for name in re.findall(r"`(\w+)`", cells[0]):
                found[name] = (cells[1], float(cells[2] or 0), float(cells[3] or 0))
    assert found == {i.name: (i.engine, i.lanes, i.special) for i in INSTRUCTIONS.values()}


def test_the_tutorials_numbers_are_the_programs() -> None:
    rows = _ROW.findall(TUTORIAL.read_text(encoding="utf-8"))
    by_name = {k.name: k for k in STEPS}
    assert {name for name, *_ in rows} >= by_name.keys() - {"matmul_6"}
    for name, number, unit, share in rows:
        found = time_kernel(by_name[name].build(), "t21")
        shown_s = float(number) * (1e-3 if unit == "ms" else 1e-6)
        told = f"{name}: {found.timing.seconds:.3g} s, {100 * found.roofline_share:.0f} %"
        assert shown_s == pytest.approx(found.timing.seconds, rel=0.25), told
        assert int(share) == pytest.approx(100 * found.roofline_share, abs=12), told


def test_steps_get_faster_and_the_last_is_near_the_roofline() -> None:
    for steps in (STEPS[:6], STEPS[6:11]):
        times = [time_kernel(step.build(), "t21") for step in steps]
        seconds = [found.timing.seconds for found in times]
        assert all(now < before * 1.03 for before, now in pairwise(seconds))
        assert times[0].roofline_share < 0.45
        assert times[-1].roofline_share > 0.8


@pytest.mark.parametrize("step", STEPS[:6], ids=lambda step: step.name)
@pytest.mark.parametrize("rows", [48, 45])
def test_every_softmax_is_one(step: Kernel, rows: int) -> None:
    x = np.random.default_rng(0).standard_normal((rows, 24)) * 4
    y = emulate(step.build({"R": rows, "C": 24, "T": "f32"}), {"x": x})["y"]
    e = np.exp(x - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(axis=1, keepdims=True), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("step", STEPS[6:], ids=lambda step: step.name)
def test_every_product_is_one(step: Kernel) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((70, 50)), rng.standard_normal((50, 45))
    program = step.build({"M": 70, "N": 45, "K": 50, "T": "f32"}, tm=32, tn=16, tk=16)
    np.testing.assert_allclose(emulate(program, {"a": a, "b": b})["c"], a @ b, atol=1e-4)
