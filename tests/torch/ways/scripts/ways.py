"""Runs every function of a script whose name starts with `way_`, on CUDA where there is one.

Written for any machine: the same script runs on the host and on the card, and what the
functions return is compared.
"""

from __future__ import annotations

import json
import random
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

PREFIX = "way_"


def numbers(thing: Any) -> list[float]:
    """Everything in a structure as one list of floats; texts and None are left out."""
    if isinstance(thing, torch.Tensor):
        return thing.detach().cpu().double().flatten().tolist()
    if isinstance(thing, dict):
        return numbers(list(thing.values()))
    if isinstance(thing, (list, tuple)):
        return [n for part in thing for n in numbers(part)]
    return [] if thing is None or isinstance(thing, str) else [float(thing)]


def run(functions: dict[str, Any]) -> None:
    """Writes {name: {values, error}} to the file of the first argument; the second picks names."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    wanted = sys.argv[2:]
    found = {}
    for name, function in list(functions.items()):
        short = name.removeprefix(PREFIX)
        if name == short or (wanted and short not in wanted):
            continue
        random.seed(0)
        torch.manual_seed(0)
        try:
            found[short] = {"values": numbers(function(device)), "error": ""}
        except Exception:
            found[short] = {"values": [], "error": traceback.format_exc()}
    Path(sys.argv[1]).write_text(json.dumps(found))
