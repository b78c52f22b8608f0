"""A script that calls no module has no batch, and is told of none."""

from __future__ import annotations

from pathlib import Path

from warm_python import python

SCRIPT = """
import torch
x = torch.ones(1024, 1024, device="cuda")
for _ in range(3):
    y = x @ x
    torch.cuda.synchronize()
"""


def test_products_alone_are_not_samples(tmp_path: Path) -> None:
    script = tmp_path / "products.py"
    script.write_text(SCRIPT)
    ran = python("-m", "suiren.cli", "run", script, "--on", "toy", "--no-history")
    assert ran.returncode == 0, ran.stderr
    assert "no module was called, so the batch is not known" in ran.stdout
    assert "samples/s" not in ran.stdout
    assert "largest batch" not in ran.stdout
    assert "batch ×" not in ran.stdout
