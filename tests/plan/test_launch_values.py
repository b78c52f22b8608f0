"""A generated script trains the same model in every layout: losses are those of one card."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from launch_cases import Case, cases, write

from suiren.torch.distributed.launch import run_devices
from suiren.torch.how import How

SCRIPT = Path(__file__).parent / "scripts" / "on_the_host.py"
#: The default run takes these; the others are slow.
QUICK = ("tp sp tied",)


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def on_the_host(folder: Path, names: list[str]) -> dict[str, list[float]]:
    """Losses of every case, each beside the same job on one rank that starts alike."""
    jobs: list[str] = []
    for name in names:
        one = cases()[name].in_fp32()
        alone = write(folder / f"{name} alone", one.alone().launch())
        script = write(folder / name, one.launch())
        start = folder / f"{name} start"
        jobs += [f"1:{alone}::{start}", f"1:{alone}:{start}:"]
        jobs.append(f"{one.layout.ranks}:{script}:{start}:")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(free_port()), *jobs],
        capture_output=True, text=True, check=False, timeout=1500,
    )  # fmt: skip
    assert "failed" not in done.stdout, done.stdout
    return {
        Path(path).parent.name: [float(loss) for loss in losses.split()]
        for path, losses in re.findall(r"^(.+) = (.+)$", done.stdout, re.MULTILINE)
    }


def agree(found: dict[str, list[float]], names: list[str]) -> list[str]:
    """Names of cases whose losses are not those of one rank."""
    return [
        f"{name}: {found.get(name)} beside {found.get(f'{name} alone')}"
        for name in names
        if len(found.get(name, [])) != 3
        or found[name] != pytest.approx(found[f"{name} alone"], abs=5e-4)
    ]


@pytest.mark.parametrize("names", [
    pytest.param(list(QUICK), id="some"),
    pytest.param([n for n in cases() if n not in QUICK], id="rest", marks=pytest.mark.slow),
])  # fmt: skip
def test_plain_pytorch_gives_the_losses_of_one_rank(tmp_path: Path, names: list[str]) -> None:
    assert agree(on_the_host(tmp_path, names), names) == []


@pytest.mark.slow
def test_two_virtual_cards_give_the_losses_of_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = cases()["dp"].in_fp32()

    def losses(case: Case, devices: int) -> list[float]:
        script = write(tmp_path / str(devices), case.launch())
        ended = [o.ended for o in run_devices(script, [], "t20", devices, How(seed=0))]
        assert ended == ["finished"] * devices
        return [float(loss) for loss in re.findall(r"loss (\S+)", capfd.readouterr().out)]

    alone = losses(one.alone(), 1)
    assert len(alone) == 3
    assert losses(one, 2) == pytest.approx(alone, abs=1e-5)
