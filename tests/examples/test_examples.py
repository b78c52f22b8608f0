"""Every example trains on the chips a reader would try, and prints what stands beside it."""

import json
import os
import re
from pathlib import Path

import pytest
from warm_python import python

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("char_gpt", "image_classifier", "bert_finetune", "llama")
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
FIELDS = """step_time_s samples_per_s tokens_per_s mfu hfu peak_memory_bytes memory_by_kind_bytes
memory_owners energy_j average_power_w time_split_s ops modules approximated fallbacks hazards
assumed changes batch steps card peak_flop_per_s""".split()


def run(name: str, *options: str) -> str:
    command = ("-m", "suiren.cli", "run", ROOT / "examples" / f"{name}.py")
    done = python(*command, *options, env={**os.environ, "COLUMNS": "110"}, timeout_s=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(output: str) -> tuple[float, float]:
    first, last = re.findall(r"first loss ([\d.]+), last loss ([\d.]+)", output)[0]
    return float(first), float(last)


def assert_same(expected: str, got: str) -> None:
    """Words must agree; numbers nearly: losses depend on the host's processor and its text."""
    ours, theirs = got.splitlines(), expected.splitlines()
    assert len(ours) == len(theirs)
    for line, wanted in zip(ours, theirs, strict=True):
        loose = "loss" in wanted or "accuracy" in wanted
        words = [re.sub(r"\s+", " ", NUMBER.sub("#", text)) for text in (line, wanted)]
        assert words[0] == words[1]
        for a, b in zip(NUMBER.findall(line), NUMBER.findall(wanted), strict=True):
            x, y = float(a.replace(",", "")), float(b.replace(",", ""))
            bound = 0.4 * abs(y) + 0.3 if loose else 0.02 * abs(y) + 1e-9
            assert abs(x - y) <= bound, (line, wanted)


@pytest.mark.parametrize("name", [
    # each is trained on the card by other tests too; here a minute of output is compared
    pytest.param(name, marks=() if name == "char_gpt" else pytest.mark.slow)
    for name in EXAMPLES
])  # fmt: skip
def test_the_example_prints_what_stands_beside_it_and_its_json_has_every_field(name, tmp_path):
    path = tmp_path / "answer.json"
    output = run(name, "--on", "t21", "--json", str(path))
    assert_same((ROOT / "examples" / f"{name}.out").read_text(), output)
    first, last = losses(output)
    assert last < 0.75 * first
    answer = json.loads(path.read_text())
    assert not [field for field in FIELDS if field not in answer]
    assert answer["approximated"]["share"] == 0
    assert sum(answer["time_split_s"].values()) == pytest.approx(answer["step_time_s"])


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("image_classifier", "t10"),
        pytest.param("char_gpt", "t10", marks=pytest.mark.slow),
        pytest.param("image_classifier", "a100", marks=pytest.mark.slow),
        pytest.param("llama", "a100", marks=pytest.mark.slow),
        pytest.param("llama", "t10", marks=pytest.mark.slow),
    ],
)
def test_the_example_trains_on_other_chips(name, card, tmp_path):
    path = tmp_path / "answer.json"
    run(name, "--on", card, "--quiet", "--json", str(path), "--max-steps", "4")
    answer = json.loads(path.read_text())
    assert answer["card"]["name"].startswith(card)
    assert answer["steps"]["num_steps"] == 4
    assert answer["step_time_s"] > 0


@pytest.mark.slow  # in the default run a small script does so: tests/commands/test_run.py
@pytest.mark.parametrize("name", ["char_gpt", "llama"])
def test_equal_seeds_give_equal_bytes(name, tmp_path):
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for path in files:
        run(name, "--quiet", "--seed", "3", "--json", str(path), "--max-steps", "4")
    assert files[0].read_bytes() == files[1].read_bytes()


def test_no_example_knows_suiren():
    for path in (ROOT / "examples").glob("*.py"):
        assert "suiren" not in path.read_text().lower()
