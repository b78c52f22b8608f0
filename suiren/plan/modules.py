"""The real modules of a model: a stack of few layers from its configuration, split over ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from suiren.plan.adapter import Adapted, adapt

#: Linear layers by the name their modules give them: whose outputs are split, whose inputs.
COLUMNS = {
    "q_proj", "k_proj", "v_proj", "qkv_proj", "query", "key", "value", "query_key_value",
    "gate_proj", "up_proj", "gate_up_proj", "fc1", "dense_h_to_4h",
}  # fmt: skip
ROWS = {"o_proj", "out_proj", "down_proj", "fc2", "dense_4h_to_h"}
#: Parents whose `dense` has split inputs or outputs.
DENSE = {"attention.dense": "row", "attention.output.dense": "row", "intermediate.dense": "column",
         "output.dense": "row"}  # fmt: skip
#: Where a layer keeps its count of heads; a rank has its share of them.
_HEADS = ("num_heads", "num_attention_heads", "num_key_value_heads", "all_head_size", "embed_dim")


class CannotTrace(ValueError):  # noqa: N818 - reads as what it is
    """A configuration whose modules cannot be traced; the sentence says why."""


def build(config: dict[str, Any], depth: int, dtype: torch.dtype, lora_rank: int = 0) -> nn.Module:
    """The model of a transformers configuration with `depth` layers, on the device, untrained.

    Raises CannotTrace where the installed transformers does not know the configuration.
    """
    try:
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM
    except ImportError:
        raise CannotTrace(
            "layers are traced from transformers' modules, which is not installed; "
            "`pip install transformers`, or plan with --formula"
        ) from None
    try:
        kind = config["model_type"]
        rest = {k: v for k, v in config.items() if k != "model_type"}
        made: Any = AutoConfig.for_model(kind, **rest)
    except (KeyError, ValueError, TypeError) as problem:
        line = str(problem).splitlines()[0][:160]
        raise CannotTrace(f"transformers cannot read the configuration: {line}") from None
    name = next((n for n in ("num_hidden_layers", "n_layer", "num_layers") if hasattr(made, n)), "")
    setattr(made, name, depth)
    if getattr(made, "layer_types", None):
        made.layer_types = list(made.layer_types)[:depth]
    if (getattr(made, "pad_token_id", None) or 0) >= made.vocab_size:
        made.pad_token_id = None
    made._attn_implementation = "sdpa"
    made.use_cache = False
    auto: Any = AutoModelForMaskedLM if kind in ("bert", "roberta") else AutoModelForCausalLM
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("cuda"):
            model: nn.Module = _made(auto, made)
    except ValueError as problem:
        line = str(problem).splitlines()[0][:160]
        raise CannotTrace(f"transformers has no model of kind {kind!r} to train: {line}") from None
    finally:
        torch.set_default_dtype(before)
    model.train()
    if lora_rank:
        adapt(model, lora_rank, COLUMNS | ROWS)
    return model


def _made(auto: Any, config: Any) -> nn.Module:
    """The model with fused attention, or with plain attention where it has no fused one."""
    try:
        found: nn.Module = auto.from_config(config)
    except ValueError as problem:
        if "attention" not in str(problem):
            raise
        config._attn_implementation = "eager"
        found = auto.from_config(config)
    return found


def layers_of(model: nn.Module, depth: int) -> str:
    """The path of the list that holds the layers; raises CannotTrace where there is none."""
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return str(path)
    raise CannotTrace(f"{type(model).__name__} has no list of {depth} layers")


def split(model: nn.Module, prefix: str, mesh: DeviceMesh, sequence_parallel: bool) -> None:
    """Splits embedding, layers and head over the ranks of a mesh, in place.

    Raises CannotTrace where a layer has no linear parts of known names, or where it cannot be
    sequence parallel.
    """
    layers = model.get_submodule(prefix)
    first = layers.get_submodule("0")
    norms = [n for n, m in first.named_children() if "norm" in n.lower()]
    parts = [n for n in ("self_attn", "mlp") if hasattr(first, n)]
    if sequence_parallel and (len(norms) < 2 or len(parts) < 2):
        raise CannotTrace(f"the layers of {type(model).__name__} cannot be sequence parallel: they "
                          f"have no self_attn, mlp and two norms")  # fmt: skip
    for layer in layers.children():
        plan = _linears(layer, sequence_parallel)
        if not plan:
            known = ", ".join(sorted(COLUMNS | ROWS))
            raise CannotTrace(f"no linear layer of {type(layer).__name__} is known to tensor "
                              f"parallelism; known are {known}")  # fmt: skip
        plan |= {part: _gathered(part, sequence_parallel) for part in parts}
        plan |= {n: SequenceParallel() for n in norms if sequence_parallel}
        _apply(layer, mesh, plan)
        _fewer_heads(layer, mesh.size())
    _ends(model, prefix, mesh, sequence_parallel)


def _linears(layer: nn.Module, sequence_parallel: bool) -> dict[str, Any]:
    """How each linear layer is split; of an adapter, its two small layers too."""
    found: dict[str, Any] = {}
    tokens = Shard(1) if sequence_parallel else Replicate()
    for path, module in layer.named_modules():
        kind = _kind(path)
        if isinstance(module, nn.Linear) and kind == "column":
            found[path] = ColwiseParallel()
        elif isinstance(module, nn.Linear) and kind == "row":
            found[path] = RowwiseParallel(output_layouts=tokens)
        elif isinstance(module, Adapted) and kind == "column":
            found |= {f"{path}.frozen": ColwiseParallel(), f"{path}.second": ColwiseParallel(),
                      f"{path}.first": ColwiseParallel(output_layouts=Replicate())}  # fmt: skip
        elif isinstance(module, Adapted):
            found |= {f"{path}.frozen": RowwiseParallel(output_layouts=tokens),
                      f"{path}.first": RowwiseParallel(output_layouts=Replicate()),
                      f"{path}.second": ColwiseParallel(output_layouts=tokens)}  # fmt: skip
    return found


def _kind(path: str) -> str:
    """`column` for a linear layer whose outputs are split, `row` for inputs, or nothing."""
    name = path.rpartition(".")[2]
    if name == "dense":
        ends = [p for p in DENSE if path.endswith(p)]
        return DENSE[max(ends, key=len)] if ends else ""
    return "column" if name in COLUMNS else "row" if name in ROWS else ""


def _gathered(part: str, sequence_parallel: bool) -> PrepareModuleInput:
    """What enters a part is made whole once, and its gradient reduced once."""
    tokens = Shard(1) if sequence_parallel else Replicate()
    if part == "mlp":
        return PrepareModuleInput(input_layouts=(tokens,), desired_input_layouts=(Replicate(),),
                                  use_local_output=False)  # fmt: skip
    return PrepareModuleInput(
        input_kwarg_layouts={"hidden_states": tokens},
        desired_input_kwarg_layouts={"hidden_states": Replicate()}, use_local_output=False,
    )  # fmt: skip


def _ends(model: nn.Module, prefix: str, mesh: DeviceMesh, sequence_parallel: bool) -> None:
    """Embedding and head split over the vocabulary, the last norm over tokens."""
    embedding: Any = model.get_input_embeddings()  # type: ignore[operator]
    head: Any = model.get_output_embeddings()  # type: ignore[operator]
    plan: dict[str, Any] = {}
    for path, module in model.named_modules():
        if module is embedding and embedding.num_embeddings % mesh.size() == 0:
            plan[path] = RowwiseParallel(
                input_layouts=Replicate(), output_layouts=Shard(1) if sequence_parallel else None
            )
        if head is not None and module is head and head.out_features % mesh.size() == 0:
            plan[path] = ColwiseParallel(
                input_layouts=Shard(1) if sequence_parallel else None, use_local_output=False
            )
    if sequence_parallel:
        parent = prefix.rpartition(".")[0]
        names = [n for n, _ in model.get_submodule(parent).named_children()]
        plan |= {f"{parent}.{n}": SequenceParallel() for n in names if "norm" in n}
    _apply(model, mesh, plan)


def _apply(module: nn.Module, mesh: DeviceMesh, plan: dict[str, Any]) -> None:
    for style in plan.values():
        style.src_data_rank = None
    parallelize_module(module, mesh, plan, src_data_rank=None)


def _fewer_heads(layer: nn.Module, ranks: int) -> None:
    """A layer that counts its heads itself counts those of this rank."""
    for path, module in layer.named_modules():
        if "attention" not in type(module).__name__.lower() or not path:
            continue
        for name in _HEADS:
            count = module.__dict__.get(name)
            if isinstance(count, int) and count >= ranks:
                setattr(module, name, count // ranks)
