"""What a plan is launched with: command, script, torchtitan's and Megatron's words."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from launch_cases import GPT, LLAMA, MIXTURE, case, cases, mixtures, write

from suiren.fleet.layout import BadLayout
from suiren.fleet.models import find_model
from suiren.hw.find_cluster import cluster_of

ALL = {**cases(), **mixtures()}


def test_the_command_names_the_cluster_and_its_ranks() -> None:
    launch = ALL["all"].launch()
    cluster = cluster_of("t20x8", 16)
    assert launch.command == (
        f"suiren run --on {cluster.name} --ranks 16 --no-numerics train.py"
    )
    assert cluster_of(cluster.name, 16).num_ranks == 16
    script = launch.files["train.py"]
    assert launch.command in script
    assert "torchrun --nnodes 2 --nproc-per-node 8" in script
    assert "suiren" not in script.replace(launch.command, "")


def test_every_script_has_all_its_names_and_no_other(tmp_path: Path) -> None:
    for name, one in ALL.items():
        write(tmp_path / name.replace(" ", "_"), one.launch())
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,B,W", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    scripts = [f.read_text() for f in tmp_path.glob("*/train.py")]
    assert max(len(line) for text in scripts for line in text.splitlines()) <= 110


def test_only_what_a_layout_needs_stands_in_its_script() -> None:
    plain = case(GPT).launch().files["train.py"]
    for word in ("fully_shard", "parallelize_module", "PipelineStage", "Mixture", "WholeSequence",
                 "Adapted", "checkpoint("):  # fmt: skip
        assert word not in plain, word
    assert "Schedule1F1B" in ALL["pp tied"].launch().files["train.py"]
    assert "ScheduleInterleaved1F1B" in ALL["interleaved"].launch().files["train.py"]
    assert "ScheduleInterleavedZeroBubble" in ALL["zero bubble"].launch().files["train.py"]


@pytest.mark.parametrize("name", ["all", "zero 3 tp", "ep tp sp", "interleaved"])
def test_torchtitan_gets_the_same_layout(name: str) -> None:
    one = ALL[name]
    layout = one.layout
    found = tomllib.loads(one.launch().files["torchtitan.toml"])
    split = found["parallelism"]
    assert split["tensor_parallel_degree"] == layout.tp
    assert split["pipeline_parallel_degree"] == layout.pp
    assert split["context_parallel_degree"] == layout.cp
    assert split["expert_parallel_degree"] == layout.ep
    copies = split["data_parallel_replicate_degree"]
    assert split["data_parallel_shard_degree"] * copies == layout.dp
    assert split["fsdp_reshard_after_forward"] == ("always" if layout.zero == 3 else "never")
    assert found["training"]["global_batch_size"] == layout.global_batch
    assert found["activation_checkpoint"]["mode"] == layout.recompute


@pytest.mark.parametrize("name", ["all", "ep tp sp", "zero 3 tp", "interleaved"])
def test_megatron_gets_the_same_layout(name: str, tmp_path: Path) -> None:
    one = ALL[name]
    layout = one.layout
    write(tmp_path, one.launch())
    text = (tmp_path / "megatron.sh").read_text()
    read = subprocess.run(["bash", "-n", str(tmp_path / "megatron.sh")], check=False)
    assert read.returncode == 0
    for argument, value in (
        ("--tensor-model-parallel-size", layout.tp), ("--num-layers", one.model.layers),
        ("--pipeline-model-parallel-size", layout.pp), ("--context-parallel-size", layout.cp),
        ("--micro-batch-size", layout.micro_batch), ("--global-batch-size", layout.global_batch),
        ("--vocab-size", one.model.vocab),
    ):  # fmt: skip
        assert f"{argument} {value}\n" in text
    assert ("--sequence-parallel" in text) == layout.sequence_parallel
    assert ("--use-megatron-fsdp" in text) == (layout.zero >= 2)
    assert (f"--expert-model-parallel-size {layout.ep}" in text) == bool(one.model.experts)


def test_what_a_script_does_otherwise_is_said() -> None:
    assert cases()["tp"].launch().notes == ()
    fp8 = case(LLAMA, precision="fp8", overlap_tensor=True, tp=4).launch()
    assert any("FP8" in note for note in fp8.notes)
    assert any("2 heads of keys cannot be split over tp 4" in note for note in fp8.notes)
    assert any("compiled" in note for note in fp8.notes)
    assert "[quantize.linear.float8]" in fp8.files["torchtitan.toml"]
    assert "--fp8-format" in fp8.files["megatron.sh"]
    other = replace(case(GPT, "llama"), config={"model_type": "chatglm", "vocab_size": 512})
    assert any("'chatglm'" in note for note in other.launch().notes)
    assert any("even share" in note for note in case(MIXTURE, dp=2).launch().notes)


def test_a_layout_that_no_job_could_run_is_refused() -> None:
    with pytest.raises(BadLayout, match="4 heads cannot be split over tp 3"):
        case(GPT, tp=3).launch()


@pytest.mark.parametrize("name", ["llama3-70b", "gpt3-175b", "mixtral-8x22b", "deepseek-v3"])
def test_bundled_models_are_launched_too(name: str) -> None:
    model = find_model(name)
    ep = 8 if model.experts else 1
    one = case(model, global_batch=64, tp=8, pp=2, dp=1, ep=ep, sequence_parallel=True)
    files = one.launch().files
    compile(files["train.py"], "train.py", "exec")
    assert f"--hidden-size {model.d_model}\n" in files["megatron.sh"]
