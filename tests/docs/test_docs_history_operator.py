"""The chapters on the history and on the operator's tools hold: code, commands, options."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from doc_blocks import ROOT, commands, promised, runs_python, stable, suiren

from suiren.commands.diff import diff
from suiren.commands.runs import runs
from suiren.commands.smi import exporter, smi
from suiren.live.folder import Publisher
from suiren.live.metrics import GAUGES, MARKED, PREFIX, registry
from suiren.live.state import Device

HISTORY, OPERATOR = ROOT / "docs" / "history.md", ROOT / "docs" / "operator.md"
#: The device that the chapter shows: `examples/char_gpt.py` in the middle of its run.
SHOWN = Device(
    pid=os.getpid(), index=0, rank=0, world_size=1, card="t21", title="Enflame CloudBlazer T21",
    script="char_gpt.py", started_s=1e9, updated_s=1e9, total_bytes=32 * 2**30,
    used_bytes=12 * 2**20, steps=40, step_s=0.00103, simulated_s=0.04, busy_share=0.821,
    parts_share={"matrix": 0.522, "vector": 0.274, "l2": 0.025, "launch": 0.179}, power_w=149.0,
    limit_w=400.0, full_clock_hz=1.628e9, sent_bytes_per_s=0.0, received_bytes_per_s=32e6,
    num_clusters=4,
)  # fmt: skip


def words(text: str) -> list[str]:
    """Lines without numbers, each with single spaces."""
    return [re.sub(r"-{3,}", "---", " ".join(line.split())) for line in stable(text)]


def test_the_commands_of_the_history_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUIREN_HISTORY", str(tmp_path / "history.sqlite"))
    monkeypatch.chdir(tmp_path)
    for command, shown in commands(HISTORY):
        said = words(suiren(command))
        for line in words(shown):
            if line != "…":
                assert line in said, (command, line)
    for block, printed in runs_python(HISTORY):
        assert printed == promised(HISTORY).get(block.line, "")


def test_the_commands_of_the_operator_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUIREN_LIVE", str(tmp_path))
    Publisher(tmp_path).write([SHOWN])
    for command, shown in commands(OPERATOR):
        said = words(suiren(command))
        for line in words(shown):
            if line != "…":
                assert line in said, (command, line)
    for block, printed in runs_python(OPERATOR):
        assert printed == promised(OPERATOR).get(block.line, "")


def test_every_option_and_metric_is_told() -> None:
    text = HISTORY.read_text()
    for command in (runs, diff, *runs.commands.values()):
        for option in command.params:
            if option.opts[0].startswith("-"):
                assert f"`{option.opts[0]}" in text, (command.name, option.opts)
    text = OPERATOR.read_text()
    for command in (smi, exporter, *smi.commands.values()):
        for option in command.params:
            assert f"`{option.opts[0]}" in text, (command.name, option.opts)
    families = {family.name for family in registry(list).collect()}
    for name in families | {PREFIX + g[0] for g in (*GAUGES, *MARKED)}:
        assert f"`{name.removeprefix(PREFIX)}" in text, name
