"""Suiren (燧人): a virtual AI-training accelerator.

It runs unmodified PyTorch training scripts on chips you do not own. For kernel authors:

    kernel(signature, **sizes)       makes a function over a `Core` a kernel (suiren.core.kernel)
    emulate(program, arrays)         runs it on arrays with the chip's number formats
    time_kernel(program, "t21")      how long it takes on a card
    as_torch_op(kernel)              makes it an op that runs inside a PyTorch model
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["Core", "__version__", "as_torch_op", "emulate", "kernel", "time_kernel"]

if TYPE_CHECKING:
    from suiren.core.emulate import emulate
    from suiren.core.kernel import kernel
    from suiren.core.language import Core
    from suiren.mapper.own import time_kernel
    from suiren.torch.own_op import as_torch_op

_WHERE = {
    "kernel": "suiren.core.kernel",
    "Core": "suiren.core.language",
    "emulate": "suiren.core.emulate",
    "time_kernel": "suiren.mapper.own",
    "as_torch_op": "suiren.torch.own_op",
}


def __getattr__(name: str) -> object:
    """Loads a room when something of it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'suiren' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
