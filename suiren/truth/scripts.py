"""FlagPerf's scripts: the traced step that a row of its table runs, its batch, or what is missing.

Names of models are those of training/benchmarks in FlagOpen/FlagPerf; data/steps holds their steps
as benchmarks/flagperf_models.py builds them.
"""

from __future__ import annotations

import re

from suiren.truth.rows import Row
from suiren.truth.unknown import NotPredicted

#: Models whose script is traced in the format that the row names.
_TRACED = ("bert_hf", "bigtransfer", "cpm", "distilbert", "efficientnet", "gpt2",
           "llama2_7b_finetune", "longformer", "swin_transformer", "t5_small")  # fmt: skip
#: Steps whose weights and gradients have two bytes, so that half as much is exchanged.
_HALVES = ("bert_hf-bf16", "cpm-f16")
_COCO = "a batch is padded to its largest image: the sizes of COCO's images are data, not source"
#: What a step of the others depends on that neither the row nor the source gives.
_MISSING = {
    "detr": _COCO, "faster_rcnn": _COCO, "mask_rcnn": _COCO, "retinanet": _COCO,
    "glm": "a batch holds as many sequences as its questions have choices: ReCoRD's data",
    "llama2_7b-megatron": "its script cuts its arguments off at `#--recompute-activations`: what "
                          "norm, heads and layout DeepSpeed was given is not known",
    "tacotron2": "a batch is as long as its longest utterance: LJSpeech's data",
    "transformer": "a batch is 5,120 words in sentences as long as WMT14 has them: data",
    "transformer_xl": "the head takes each cluster of words as often as the text has them: data",
    "dlrm": "tables are as long as Criteo's categories and lie on cards by a rule of its own, and "
            "steps are CUDA graphs, whose memory no other step may use",
    "moflow": "steps are CUDA graphs, whose memory no other step may use",
}  # fmt: skip


def covers(row: Row) -> bool:
    """True for rows of FlagPerf whose script is traced under its own name, or cannot be."""
    model = row.shape.get("model", row.text)
    known = model in _TRACED or model in _MISSING or model == "vit"
    return "FlagPerf" in row.source and (known or "tensorflow" in row.shape.get("framework", ""))


def step_name(row: Row) -> str:
    """The name in data/steps of a row's step; raises NotPredicted with what is missing."""
    model = row.shape.get("model", row.text)
    if "tensorflow" in row.shape.get("framework", ""):
        raise NotPredicted(f"no step of {model} under TensorFlow was traced")
    if model in _MISSING:
        raise NotPredicted(f"{model}: {_MISSING[model]}")
    if model == "vit":
        # nvidia/vit-pytorch/config/config_common.py says amp = True, whatever the table says
        return "vit_eval2-f16" if _setting(row, "eval_batch_size") == 512 else "vit-f16"
    # the column "precision" of a table without one is among what a row changes
    stated = re.search(r"fix_hp=数据精度=(\w+)", row.notes)
    kind = {"amp": "f16", "fp16": "f16", "bf16": "bf16"}.get(
        stated[1] if stated else row.dtype.lower(), "f32")  # fmt: skip
    return f"{model}-{kind}"


def batch_of(row: Row) -> int | None:
    """Samples of a card that a row's configuration gives where its table changes nothing."""
    if "FlagPerf" not in row.source:
        return None
    names = ("train_batch_size", "batch_size", "batch_size_training")
    return next((size for name in names if (size := _setting(row, name))), None)


def gradient_bytes(name: str, params: int) -> float:
    """Bytes of the gradients that cards exchange in a traced step."""
    return params * (2.0 if name in _HALVES else 4.0)


def _setting(row: Row, name: str) -> int | None:
    """A number of the row's configuration file, else of the model's defaults; both in its notes."""
    found = re.search(rf"'{name}': (\d+)", row.notes)
    return int(found[1]) if found else None
