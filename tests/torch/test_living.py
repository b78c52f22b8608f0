"""A script's device is told while it runs: memory from a thread, steps and time between steps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from suiren.live.folder import devices
from suiren.torch import _shim
from suiren.torch.living import Living, living
from suiren.torch.session import Session
from suiren.torch.walking import Walked


def train(steps: int) -> None:
    model = torch.nn.Linear(64, 64).to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        model(torch.ones(8, 64).to("gcu")).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_memory_steps_and_time_are_told(session: Session, tmp_path: Path) -> None:
    train(1)  # what other tests left unfinished ends here
    one = Living(session, Path("somewhere/train.py"), tmp_path)
    one.walk.walked = Walked(num_steps=len(_shim.steps()))
    one.start()
    one._begun = one._next_look = time.monotonic() - 1e6
    usual, session.on_step = session.on_step, one.stepped
    try:
        held = torch.empty(1 << 20, device="gcu")
        train(3)
        one._publish()
        (device,) = [d for d in devices(tmp_path) if d.step_s is not None]
    finally:
        session.on_step = usual
        one.stop()
    assert (device.title, device.script) == (session.card.title, "train.py")
    assert (device.rank, device.world_size) == (0, 1)
    assert device.used_bytes == torch.gcu.memory_allocated() >= held.nbytes
    assert device.total_bytes == int(session.card.memory_bytes)
    assert device.steps == _shim.num_steps()
    assert device.power_w is not None and device.step_s is not None
    assert 0 < device.step_s < 1 and session.card.idle_w <= device.power_w <= device.limit_w
    assert device.received_bytes >= 8 * 64 * 4
    assert devices(tmp_path) == []


def test_a_step_that_cannot_be_priced_does_not_end_the_script(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Living(session, Path("train.py"), tmp_path)
    asked = []

    def fails(*_: object) -> None:
        asked.append(1)
        raise KeyError("no such op")

    monkeypatch.setattr(one.walk, "go_on", fails)
    one._next_look = 0.0
    for count in range(1, 4):
        one.stepped(count)
    assert (one.steps, len(asked)) == (3, 1)


def test_a_script_that_raises_takes_its_device_away(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUIREN_LIVE", str(tmp_path))
    usual = session.on_step
    with pytest.raises(ZeroDivisionError), living(session, Path("train.py")):
        assert [d.script for d in devices()] == ["train.py"]
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [] and session.on_step is usual


def test_nothing_is_published_where_that_is_off(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUIREN_LIVE", "")
    usual = session.on_step
    with living(session, Path("train.py")):
        assert session.on_step is usual
