"""Scripts of many industries and of other libraries lose on the card what they lose on the host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from warm_python import alone_python, python

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
INDUSTRIES = ROOT / "examples" / "industries"
EVERY = SCRIPTS / "every_script.py"
#: What differs most: scatter, CTC and LSTM, second derivatives, sparse gradients, routing,
#: boxes, rounding, a custom backward, mixed precision with recompute.
UNLIKE = """social_gnn speech_ctc digits_gan recommender mixture_of_experts parcel_detection
quantised_diagnosis neural_ode vision_transformer""".split()
#: FP32 sums in another order, over some steps; autocast to BF16 rounds to 8 bits.
BOUND = {"vision_transformer": 2.0**-7}


def losses(folder: Path, names: list[str], out: Path, *command: str) -> dict[str, list[float]]:
    arguments = ["-W", "ignore", EVERY, folder, out, *names]
    if command:
        arguments[2:3] = ["-m", "suiren.cli", "run", EVERY, *command]
        ran = python(*arguments, timeout_s=600)
    else:  # a Python that knows nothing of the card
        ran = alone_python(*arguments)
    assert out.exists(), ran.stderr
    return json.loads(out.read_text())


def assert_same_losses(folder: Path, names: list[str], tmp_path: Path) -> None:
    host = losses(folder, names, tmp_path / "host.json")
    options = ("--on", "t21", "--plain-fp32", "--quiet", "--")
    card = losses(folder, names, tmp_path / "card.json", *options)
    assert sorted(card) == sorted(names)
    for name in names:
        assert isinstance(card[name], list), f"{name}: {card[name]}"
        assert len(card[name]) >= 3
        assert card[name] == pytest.approx(host[name], rel=BOUND.get(name, 2e-5)), name


def test_industries_that_differ_most(tmp_path):
    assert_same_losses(INDUSTRIES, UNLIKE, tmp_path)


@pytest.mark.slow
def test_every_industry(tmp_path):
    assert_same_losses(INDUSTRIES, sorted(p.stem for p in INDUSTRIES.glob("*.py")), tmp_path)


@pytest.mark.parametrize("library", ["torch_geometric", "diffusers"])
def test_networks_of_another_library(library, tmp_path):
    pytest.importorskip(library)
    assert_same_losses(SCRIPTS / "libraries", [f"{library}_nets"], tmp_path)


@pytest.mark.parametrize("path", sorted(INDUSTRIES.glob("*.py")), ids=lambda p: p.stem)
def test_no_script_knows_of_suiren(path):
    text = path.read_text()
    assert "suiren" not in text.lower()
    assert "gcu" not in text
    assert '"cuda"' in text
