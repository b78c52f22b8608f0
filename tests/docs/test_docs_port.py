"""The chapter on porting holds: its table is the registry, its commands and code are real."""

from __future__ import annotations

import re
import shlex

import pytest
from doc_blocks import ROOT, blocks, promised, runs_python

from suiren.commands.port import port
from suiren.port.fix import rewrite_text
from suiren.port.kinds import ALL_TIES

PORT = ROOT / "docs" / "port.md"


def test_the_table_of_kinds_is_the_registry() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \| (yes|no) \| (.*) \|$", PORT.read_text(), re.M)
    assert rows == [
        (t.name, t.verdict, "yes" if t.under_transfer else "no", t.advice) for t in ALL_TIES
    ]


def test_the_code_is_what_a_patch_writes_and_prints_what_is_shown(tmp_path) -> None:
    shown = promised(PORT)
    for block, printed in runs_python(PORT):
        assert printed == shown.get(block.line, "")
        before = "import torch\nx = torch.ones(2).cuda()\nprint(x.sum().item())\n"
        assert rewrite_text(before, tmp_path / "x.py") == block.text


COMMANDS = [
    line.partition("#")[0].partition(">")[0].strip()
    for block in blocks(PORT)
    for line in block.text.splitlines()
    if line.startswith("suiren port")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_every_command_exist(command) -> None:
    arguments = shlex.split(command)[2:]
    assert port.make_context("port", arguments).params["path"]


def test_every_option_stands_in_the_chapter() -> None:
    text = PORT.read_text()
    options = [o.opts[0] for o in port.params if o.opts[0].startswith("--")]
    assert [o for o in options if o not in text] == []
