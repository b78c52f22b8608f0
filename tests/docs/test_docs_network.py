"""The chapter on networks holds: its code runs, its files load, its commands work."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from doc_blocks import ROOT, blocks, commands, promised, runs_python, suiren

from suiren.commands.topology import topology
from suiren.fleet.algorithms import ALGORITHMS
from suiren.hw.clusterfile import load_cluster

NETWORK = ROOT / "docs" / "network.md"
FILES = [block for block in blocks(NETWORK) if block.language == "toml"]


def test_the_code_prints_what_is_shown() -> None:
    shown = promised(NETWORK)
    count = 0
    for block, printed in runs_python(NETWORK):
        assert printed == shown[block.line]
        count += 1
    assert count == 3


@pytest.mark.parametrize("block", FILES, ids=[str(block.line) for block in FILES])
def test_the_files_load(tmp_path: Path, block) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(block.text)
    assert load_cluster(file).num_ranks >= 3


def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = commands(NETWORK)
    assert len(shown) == 3
    for command, _ in shown:
        assert "bisection" in suiren(command)
    assert (tmp_path / "t21.json").exists() and (tmp_path / "t21.html").exists()


def test_every_option_and_algorithm_stands_in_the_chapter() -> None:
    text = NETWORK.read_text()
    options = [o.opts[0] for o in topology.params if o.opts[0].startswith("--")]
    assert [o for o in options if o not in text] == []
    assert [a for a in (*ALGORITHMS, "torus") if f"| {a} |" not in text] == []
    assert shlex.split("suiren topology")[1] == topology.name
