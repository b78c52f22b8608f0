"""What a table's own repository states of its runs where the table leaves it out."""

from __future__ import annotations

from collections.abc import Mapping

#: Of NVIDIA/NeMo-Megatron-Launcher, launcher_scripts/conf/training/gpt3/5b.yaml and 175b.yaml:
#: degrees, micro-batch, batch, and the most layers of a stage that a chunk may hold.
_LAUNCHER: Mapping[str, Mapping[str, int]] = {
    "gpt3-5b": {"tp": 1, "pp": 1, "micro_batch": 4, "global_batch": 2048, "sequence_parallel": 0},
    "gpt3-175b": {"tp": 4, "pp": 8, "micro_batch": 1, "global_batch": 2048,
                  "sequence_parallel": 1},
}  # fmt: skip
_FILES = {"gpt3-5b": "gpt3/5b.yaml", "gpt3-175b": "gpt3/175b.yaml"}


def filled(record: Mapping[str, str]) -> dict[str, str]:
    """The record with what its recipe states; what the row states itself stays.

    A micro-batch that does not divide a replica's batch becomes the largest one below that does;
    pipelines are interleaved layer by layer (`virtual_pipeline_model_parallel_size: 12  # set to
    maximum`).
    """
    found = dict(record)
    model = record.get("model") or ""
    if "NeMo-Megatron-Launcher" not in (record.get("source") or "") or model not in _LAUNCHER:
        return found
    recipe = _LAUNCHER[model]
    for name in ("tp", "pp", "micro_batch", "global_batch"):
        if not found.get(name):
            found[name] = str(recipe[name])
    ranks, split = int(found["n_devices"]), int(found["tp"]) * int(found["pp"])
    share, micro = int(found["global_batch"]) // max(1, ranks // split), int(found["micro_batch"])
    found["micro_batch"] = str(next(n for n in range(micro, 0, -1) if share % n == 0))
    if int(found["pp"]) > 1:
        found["vpp"] = str(int(found["n_layers"]) // int(found["pp"]))
    told = f"batch and layout of conf/training/{_FILES[model]}"
    if recipe["sequence_parallel"]:
        told += "; sequence_parallel=true"
    found["notes"] = f"{found.get('notes') or ''}; {told}".lstrip("; ")
    found["zero_fsdp"] = found.get("zero_fsdp") or "distributed optimizer"
    return found
