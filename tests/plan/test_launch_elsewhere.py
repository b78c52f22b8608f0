"""What a plan writes for torchtitan and Megatron-LM: only what they know, nothing they refuse."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from launch_cases import FOUR, GPT, LLAMA, MIXTURE, Case, case, cases, mixtures

from suiren.fleet.models import find_model
from suiren.plan.elsewhere import MEGATRON, TORCHTITAN

KNOWN = Path(__file__).parents[2] / "data" / "launch"
SIX = find_model("gpt3-1.3b")
LATENT = find_model("deepseek-v3")
ALL: dict[str, Case] = {
    **cases(), **mixtures(),
    "whole copies split": case(LLAMA, dp=2, tp=2, zero=0),
    "tp alone": case(LLAMA, tp=2, zero=0, overlap_tensor=True),
    "tp hidden": case(LLAMA, tp=2, sequence_parallel=True, overlap_tensor=True),
    "mixture tp": case(MIXTURE, tp=2, dp=2),
    "mixture fp16": case(MIXTURE, precision="fp16", dp=2),
    "mixture ep fp16": case(MIXTURE, precision="fp16", dp=2, ep=2),
    "offload whole": case(GPT, dp=2, zero=0, offload="optimizer"),
    "three stages": case(FOUR["llama"], pp=3, global_batch=3),
    "seven chunks": case(SIX, pp=7, global_batch=14),
    "many chunks": case(SIX, pp=4, vpp=3, global_batch=8, schedule="interleaved"),
    "uneven chunks": case(SIX, pp=5, vpp=2, global_batch=10, schedule="interleaved"),
    "uneven ends": case(SIX, pp=4, first_stage_layers=5, last_stage_layers=5),
    "latent": case(LATENT, tp=2, ep=2, sequence_parallel=True, pp=2),
    "fp8": case(LLAMA, precision="fp8", dp=2), "fp32": case(LLAMA, precision="fp32", dp=2),
}  # fmt: skip


def flags_of(one: Case) -> dict[str, list[str]]:
    """Flag -> values, of the Python command that the file ends in."""
    text = one.launch().files["megatron.sh"]
    found: dict[str, list[str]] = {}
    blocks = re.findall(r"^(\w+)=\((.*?)^\)", text, re.MULTILINE | re.DOTALL)
    for name, block in blocks:
        for word in shlex.split(block, comments=True) if name != "PLACE" else ():
            if word.startswith("--"):
                assert word not in found, f"{word} stands twice"
                found[word] = []
            else:
                found[list(found)[-1]].append(word)
    return found


def known_flags() -> dict[str, str]:
    lines = (KNOWN / "megatron_flags.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line.startswith("--")]
    return {row[0]: row[1] for row in rows}


def takes(value: str, kind: str) -> bool:
    if kind in ("int", "float"):
        return re.fullmatch(r"-?\d+" if kind == "int" else r"[-+.e\d]+", value) is not None
    return kind == "text" or value in kind.split("|")


@pytest.mark.parametrize("name", ALL)
def test_megatron_knows_every_flag_and_its_value(name: str) -> None:
    known = known_flags()
    for flag, values in flags_of(ALL[name]).items():
        assert flag in known, flag
        assert len(values) == (known[flag] != "-"), (flag, values)
        assert all(takes(value, known[flag]) for value in values), (flag, values)


@pytest.mark.parametrize("name", ALL)
def test_megatron_refuses_nothing(name: str) -> None:
    """The assertions of its `validate_args` and of the configurations it makes."""
    one = ALL[name]
    flags, text = flags_of(one), one.launch().files["megatron.sh"]
    own = "--use-megatron-fsdp" in flags
    assert ("export CUDA_DEVICE_MAX_CONNECTIONS=1\n" in text) != own
    assert own == (flags.get("--ckpt-format") == ["fsdp_dtensor"])
    if "--tp-comm-overlap" in flags or ("--num-experts" in flags and one.layout.tp > 1):
        assert "--sequence-parallel" in flags
    if "--moe-grouped-gemm" in flags:
        assert "--bf16" in flags
    if one.layout.ep > 1:
        assert "--fp16" not in flags
    if "--optimizer-cpu-offload" in flags:
        assert {"--use-precision-aware-optimizer", "--use-distributed-optimizer"} <= set(flags)
    if "--overlap-param-gather" in flags:
        assert {"--overlap-grad-reduce", "--use-distributed-optimizer"} <= set(flags)
    stages = flags.get("--pipeline-model-parallel-layout")
    if stages is None:
        assert one.model.layers % (one.layout.pp * one.layout.vpp) == 0
        return
    assert "--num-virtual-stages-per-pipeline-rank" not in flags
    chunks = re.sub(r"t\*(\d+)", lambda m: "t" * int(m[1]), stages[0]).split("|")
    assert (chunks[0][0], chunks[-1][-1]) == ("E", "L")
    held = one.layout.stage_layers(one.model)
    assert [chunk.count("t") for chunk in chunks] == [
        held[n % one.layout.pp][n // one.layout.pp] for n in range(one.layout.pp * one.layout.vpp)
    ]


def check(told: dict[str, Any], known: dict[str, Any], where: str) -> None:
    kinds = {str: "str", bool: "bool", int: "int", float: "float", list: "list"}
    for key, value in told.items():
        assert key in known, f"{where}.{key}"
        if isinstance(value, dict):
            check(value, known[key], f"{where}.{key}")
        elif isinstance(known[key], list):
            assert value in known[key], f"{where}.{key}"
        else:
            assert kinds[type(value)] in known[key].split("|"), f"{where}.{key}"


@pytest.mark.parametrize("name", ALL)
def test_torchtitan_knows_every_key_and_refuses_nothing(name: str) -> None:
    one = ALL[name]
    told = tomllib.loads(one.launch().files["torchtitan.toml"])
    check(told, json.loads((KNOWN / "torchtitan_keys.json").read_text())["keys"], "")
    split, layout = told["parallelism"], one.layout
    copies, shards = (split[f"data_parallel_{n}_degree"] for n in ("replicate", "shard"))
    assert copies * shards == layout.dp
    if copies > 1:  # it runs whole copies on every card alone
        assert copies == layout.ranks
    if layout.pp == 1:
        return
    chunks = 2 if split["pipeline_parallel_schedule"].startswith("Interleaved") else 1
    per_stage = split.get("pipeline_parallel_layers_per_stage")
    if per_stage is not None:
        made = -(-one.model.layers // per_stage)
        assert made % layout.pp == 0
        chunks = made // layout.pp
    assert chunks == layout.vpp or "module_fqns_per_model_part" in one.launch().files[
        "torchtitan.toml"
    ]
    assert told["training"]["local_batch_size"] % split["pipeline_parallel_microbatch_size"] == 0


def test_files_name_what_they_were_checked_against() -> None:
    files = ALL["all"].launch().files
    assert json.loads((KNOWN / "torchtitan_keys.json").read_text())["torchtitan"] == TORCHTITAN
    assert f"torchtitan {TORCHTITAN}," in files["torchtitan.toml"]
    assert f"commit {MEGATRON}" in (KNOWN / "megatron_flags.txt").read_text()
    assert f"commit {MEGATRON};" in files["megatron.sh"]


@pytest.mark.parametrize(("name", "file", "said"), [
    ("zero bubble", "torchtitan.toml", "1F1B stands in their place"),
    ("whole copies split", "torchtitan.toml", "ZeRO 2 is nearest"),
    ("tp alone", "torchtitan.toml", "weights and optimizer are BF16 here"),
    ("mixture tp", "megatron.sh", "with sequence parallelism only"),
    ("mixture ep fp16", "megatron.sh", "no expert parallelism in FP16"),
    ("offload whole", "megatron.sh", "(ZeRO 1) only"),
])  # fmt: skip
def test_what_they_do_otherwise_is_said(name: str, file: str, said: str) -> None:
    assert said in ALL[name].launch().files[file]
