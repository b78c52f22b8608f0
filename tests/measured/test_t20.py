"""The published T20 figures beside the prediction. Nothing is fitted on them; gaps are known.

A gap that closes, or opens further, fails here, so that `data/measured/t20_gaps.csv` and
`docs/measured.md` stay true.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data" / "measured"
COMMANDS = {
    "dtu-1": ("image_classifier", "--arch resnet50 --synthetic --image-size 224 --batch-size 128"),
    "dtu-2": ("bert_finetune", "--size large --seq-len 384 --batch-size 8 --no-eval"),
    "dtu-6": ("image_classifier", "--arch vgg16 --synthetic --image-size 224 --batch-size 256"),
}


def rows(name: str) -> dict[str, dict[str, str]]:
    with (DATA / name).open() as lines:
        return {row["id"]: row for row in csv.DictReader(lines)}


def predicted_per_s(row_id: str, folder: Path) -> float:
    script, options = COMMANDS[row_id]
    path = folder / "answer.json"
    command = [
        sys.executable, "-m", "suiren.cli", "run", str(ROOT / "examples" / f"{script}.py"),
        "--on", "t20", "--no-numerics", "--tf32", "on", "--quiet", "--json", str(path),
        "--", *options.split(), "--steps", "3",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text())["samples_per_s"]


@pytest.mark.parametrize("row_id", COMMANDS)
def test_the_gap_to_the_published_figure_is_the_one_we_state(row_id, tmp_path):
    published = float(rows("train_dtu_t20.csv")[row_id]["measured_value"])
    stated = rows("t20_gaps.csv")[row_id]
    predicted = predicted_per_s(row_id, tmp_path)
    assert predicted == pytest.approx(float(stated["predicted_per_s"]), rel=0.02)
    error_percent = 100 * (predicted / published - 1)
    assert error_percent == pytest.approx(float(stated["error_percent"]), abs=5)
    assert stated["why"]


def test_every_published_single_card_row_is_predicted_or_says_why_not():
    stated = rows("t20_gaps.csv")
    assert set(stated) == set(rows("train_dtu_t20.csv"))
