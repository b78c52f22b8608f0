"""Runs the checks of a script on every rank and leaves what went wrong, by name."""

from __future__ import annotations

import json
import os
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

PREFIX = "check_"


def start(backend: str = "nccl") -> None:
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(backend, timeout=timedelta(seconds=60))


def run(names: dict) -> None:
    """Every function called `check_…`; a name on the command line chooses one."""
    chosen = sys.argv[2:]
    wrong = {}
    for full_name, check in list(names.items()):
        name = full_name.removeprefix(PREFIX)
        if name == full_name or (chosen and name not in chosen):
            continue
        torch.manual_seed(0)
        try:
            check()
        except Exception as problem:
            wrong[name] = f"rank {dist.get_rank()}: {type(problem).__name__}: {problem}"
            traceback.print_exc()
        dist.barrier()
    everyone = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, wrong)
    if dist.get_rank() == 0:
        merged = {name: text for one in reversed(everyone) for name, text in one.items()}
        Path(sys.argv[1]).write_text(json.dumps(merged))
    dist.destroy_process_group()


def same(card, host, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Both hold the same numbers; a DTensor stands for its whole."""
    card = card.full_tensor() if hasattr(card, "full_tensor") else card
    torch.testing.assert_close(
        card.detach().cpu(), host.detach(), rtol=rtol, atol=atol, check_device=False
    )


def refused(kind: type, words: str, call, *arguments, **keywords) -> None:
    """The call raises `kind`, whose text holds the words."""
    try:
        call(*arguments, **keywords)
    except kind as problem:
        assert words in str(problem), str(problem)
    else:
        raise AssertionError(f"{call} was not refused")
