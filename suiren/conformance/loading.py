"""PyTorch's test databases, loaded without what loading them does to the process."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import torch


def load(module: str, name: str) -> Any:
    """`name` of a module of `torch.testing._internal`.

    Importing one forbids to set flags of `torch.backends`, for the whole process; that is undone.
    """
    flag = "__allow_nonbracketed_mutation_flag"
    flags = torch.backends.flags_frozen.__globals__  # the module itself stands behind a wrapper
    allowed = flags[flag]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module(f"torch.testing._internal.{module}")
    flags[flag] = allowed
    return getattr(found, name)
