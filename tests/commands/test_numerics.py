"""`suiren numerics`: what it says, how it ends, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suiren_runs import TRAIN, script, suiren

from suiren.cli import main
from suiren.history.store import History

LATE = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(8, 1).to("cuda")
optimizer = torch.optim.SGD(model.parameters(), 1e-3)
for step in range(60):
    x = torch.rand(4, 8, device="cuda") + 1
    if step == 30:
        x = x - 5
    loss = model(x.log()).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print("came to the end")
"""


def test_until_nan_stops_in_the_step_of_the_nan(tmp_path: Path) -> None:
    train = script(tmp_path, LATE)
    ran = suiren("numerics", "run", train, "--on", "t21", "--until-nan", "--no-fix",
                 "--json", tmp_path / "found.json")  # fmt: skip
    assert ran.code == 1, ran.err
    assert "came to the end" not in ran.out
    found = json.loads((tmp_path / "found.json").read_text())
    first = found["findings"][0]
    assert (first["what"], first["step"], first["line"]) == ("nan", 30, 11)
    assert "log of −" in first["cause"]
    assert found["ended"] == "stopped at the first NaN"
    assert "step 30" in ran.out
    history = History()
    kept = next(r for r in history.records("numerics") if r.facts["script"] == str(train))
    assert (kept.title, kept.card, history.document(kept)) == ("train.py", "t21", found)


def test_a_sound_script_ends_with_nothing(tmp_path: Path) -> None:
    train = script(tmp_path, TRAIN)
    ran = suiren("numerics", "run", train, "--on", "t21", "--against", "a100", "--tf32", "on",
                 "--accumulate", "chip", "--seed", "1",
                 "--json", tmp_path / "found.json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "no op is off by more than its format explains" in ran.out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["findings"] == []
    assert found["ops_not_run_again"] == {}
    assert [loss["step"] for loss in found["losses"]] == [0, 1, 2, 3]
    assert found["against"] == "a100"
    assert found["step_time_s"] > 0


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["numerics", *arguments])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return " ".join(said.err.split())


def test_a_mistake_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script(tmp_path, TRAIN)
    assert "no script 'trian.py'" in mistake(capsys, "run", "trian.py")
    words = mistake(capsys, "run", "train.py", "--against", "fp23")
    assert "--against 'fp23' is neither fp32, fp64 nor a chip" in words
    assert "t21" in mistake(capsys, "run", "train.py", "--on", "t2l")
    words = mistake(capsys, "run", "train.py", "--json", "no/such/folder/found.json")
    assert "nothing was run" in words


def test_formats_show_limits_and_how_products_are_summed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["numerics", "formats", "h100"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "f8e4m3" in shown
    assert "65504" in shown
    assert "DeepSeek-V3" in shown


def test_a_script_without_the_word_run_is_run(tmp_path: Path) -> None:
    ran = suiren("numerics", tmp_path / "gone.py", "--on", "t21")
    assert ran.code == 2
    assert ran.err.strip().splitlines()[-1].startswith("Error: there is no script")
