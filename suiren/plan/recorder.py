"""A process that records stacks of layers on the virtual device, one rank of any group."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from suiren.plan.pieces import read_stack

#: Layers of a recorded stack: the middle one has neighbours of its kind on both sides.
DEPTH = 3
#: Ranks of the believed world: as many as the largest tensor parallel group.
WORLD = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be recorded."""

    config: str
    """A transformers configuration as JSON."""
    tp: int
    micro_batch: int
    seq: int
    precision: str
    sequence_parallel: bool
    lora_rank: int = 0


def serve(line: Connection) -> None:
    """Answers every `Wanted` that comes over the line with parts as JSON, or a sentence."""
    gc.disable()  # what is loaded stays; looking through it again and again finds nothing
    from suiren.plan.modules import CannotTrace

    recorder = Recorder()
    gc.enable()
    while True:
        try:
            wanted = line.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            line.send(("parts", recorder.record(wanted)))
        except CannotTrace as problem:
            line.send(("refused", str(problem)))
        except Exception as problem:  # whatever a foreign module raises is told, not lost
            first = (str(problem).splitlines() or [""])[0][:200]
            line.send(("refused", f"its modules raised {type(problem).__name__}: {first}"))


class Recorder:
    """Holds the session of this process."""

    def __init__(self) -> None:
        import torch
        import torch.distributed as dist

        from suiren.hw.load import resolve_card
        from suiren.torch import transfer
        from suiren.torch.distributed.post import Nobody
        from suiren.torch.distributed.pretending import Pretence
        from suiren.torch.session import Session

        warnings.filterwarnings("ignore")
        logging.disable(logging.ERROR)
        torch.set_num_threads(1)
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE=str(WORLD),
                          MASTER_ADDR="localhost", MASTER_PORT="29500")  # fmt: skip
        # what is recorded does not depend on the card; its memory must not run out here
        self.session = Session(resolve_card("t21"))
        self.session.begin(numerics=False, memory_bytes=1 << 46)
        transfer.install()
        Pretence(0, WORLD, Nobody()).install()
        dist.init_process_group("nccl")
        _one_fake_mode()

    def record(self, wanted: Wanted) -> dict[str, Any]:
        """The parts of a model on one rank, as JSON; raises CannotTrace."""
        import json

        import torch
        from torch.distributed.device_mesh import DeviceMesh

        from suiren.plan.adapter import freeze
        from suiren.plan.modules import build, layers_of, split
        from suiren.torch import _shim

        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(wanted.precision, torch.float32)
        model = build(json.loads(wanted.config), DEPTH, dtype, wanted.lora_rank)
        prefix = layers_of(model, DEPTH)
        if wanted.tp > 1:
            ranks = torch.arange(WORLD).view(-1, wanted.tp)
            mesh = DeviceMesh("cuda", ranks, mesh_dim_names=("dp", "tp"))["tp"]
            split(model, prefix, mesh, wanted.sequence_parallel)
            if wanted.lora_rank:  # what was split may have become new weights that learn
                freeze(model)
        shape = wanted.micro_batch, wanted.seq
        given = {"input_ids": torch.zeros(shape, dtype=torch.long, device="cuda")}
        if wanted.sequence_parallel:  # rotary embeddings are of all tokens, not of this rank's
            given["position_ids"] = torch.arange(wanted.seq, device="cuda")[None]
        _pass(model, given, wanted.tp > 1)  # gradients are there from now on and are added to
        before = int(_shim.num_events_now())
        _pass(model, given, wanted.tp > 1)
        program = self.session.program()
        assert program.rest is not None
        events = program.rest.events[before:].tolist()
        name = f"{type(model).__name__}.{prefix}"
        found = read_stack(events, program.contexts, program.calls, name, DEPTH).as_json()
        return {**found, "params": _params(model, prefix)}


def _one_fake_mode() -> None:
    """One mode for all shapes that DTensor derives, instead of one a derivation.

    Of the time that a split layer takes the first time, making them was a fifth.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed.tensor import _sharding_prop

    mode = FakeTensorMode()
    vars(_sharding_prop)["FakeTensorMode"] = lambda: mode


def _pass(model: Any, given: dict[str, Any], is_split: bool) -> None:
    """Forward, the cross entropy in FP32, backward."""
    import torch
    from torch.distributed.tensor.parallel import loss_parallel

    logits = model(**given).logits
    with loss_parallel() if is_split and hasattr(logits, "placements") else nullcontext():
        flat = logits.flatten(0, 1)
        del logits
        loss: Any = torch.nn.functional.cross_entropy(flat.float(), given["input_ids"].flatten())
        del flat
        loss.backward()


def _params(model: Any, prefix: str) -> dict[str, list[int]]:
    """[all, trained] weights of a layer of the whole model, and of the rest of it."""
    layer = f"{prefix}.{DEPTH // 2}."
    found = {"layer": [0, 0], "rest": [0, 0]}
    for name, parameter in model.named_parameters():
        if name.startswith(prefix + ".") and not name.startswith(layer):
            continue
        counted = found["layer" if name.startswith(layer) else "rest"]
        counted[0] += parameter.numel()
        counted[1] += parameter.numel() * parameter.requires_grad
    return found
