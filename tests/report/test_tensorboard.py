"""Scalars of every step, read back by TensorBoard itself."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from told import trained

from suiren.cli import suiren as commands
from suiren.report.tensorboard import NoTensorBoard, scalars, write_events


def test_tensorboard_reads_every_scalar_of_every_step(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    answer = trained()
    path = write_events(answer, tmp_path / "new" / "folder")
    events = list(EventFileLoader(str(path)).Load())
    assert events[0].file_version == "brain.Event:2"
    steps = [e for e in events if e.HasField("summary")]
    assert [e.step for e in steps] == list(range(len(answer.step_times_s)))
    for event, (at_s, values) in zip(steps, scalars(answer), strict=True):
        read = {v.tag: v.tensor.float_val[0] for v in event.summary.value}
        assert event.wall_time == pytest.approx(at_s)
        assert read == pytest.approx(values, rel=1e-6)


def test_a_steps_scalars_are_those_of_the_answer() -> None:
    answer = trained()
    *_, (at_s, last) = scalars(answer)
    assert at_s == pytest.approx(sum(answer.step_times_s))
    assert last == pytest.approx({
        "step_time_s": answer.step_time_s, "memory/peak_bytes": answer.memory.peak_bytes,
        "energy/joules": answer.energy_j, "energy/power_w": answer.average_power_w,
        "throughput/samples_per_s": answer.batch.samples / answer.step_time_s,
        "throughput/tokens_per_s": (answer.batch.tokens or 0) / answer.step_time_s,
        "mfu": answer.mfu,
    })  # fmt: skip


def test_the_same_run_gives_the_same_bytes_and_one_file(tmp_path: Path) -> None:
    first = write_events(trained(), tmp_path)
    data = first.read_bytes()
    assert write_events(trained(), tmp_path) == first
    assert first.read_bytes() == data and list(tmp_path.iterdir()) == [first]


def test_a_folder_that_cannot_be_made_stops_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise SystemExit('it ran')")
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(
        commands, ["run", str(tmp_path / "train.py"), "--tensorboard", str(tmp_path / "file" / "x")]
    )
    assert done.exit_code == 2 and "nothing was run" in " ".join(done.stderr.split())


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("tensorboardX"):
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NoTensorBoard, match=r"pip install 'suiren\[tensorboard\]'"):
        write_events(trained(), tmp_path)
