"""Starts the device once per process: boxed ops, the name `gcu`, `torch.gcu`, compile."""

from __future__ import annotations

import os
import sys
import types

import torch

from suiren.hw.spec import Card
from suiren.torch import _shim

NAME = "gcu"
NUM_DEVICES = 8
"""A node of eight cards, as the DTU's are sold."""

#: Ops that would fall apart into smaller ones before they reach the card, although the chip
#: runs each as one kernel.
_ONE_KERNEL = """
embedding convolution convolution_backward stack sum mean index_put_ constant_pad_nd repeat
masked_fill.Scalar masked_fill.Tensor clone logsumexp native_layer_norm native_group_norm
_safe_softmax slice_backward huber_loss_backward smooth_l1_loss_backward
binary_cross_entropy_with_logits abs dist _fused_rms_norm _fused_rms_norm_backward bernoulli sort
_chunk_cat cummax cummin _amp_foreach_non_finite_check_and_unscale _amp_update_scale
select_backward mode mode.values
""".split()

#: Ops that the shim registers itself.
_OWN = set(
    """empty.memory_format empty_strided resize_ _efficientzerotensor
set_.source_Storage_storage_offset set_.source_Storage set_.source_Tensor set_ view as_strided
_reshape_alias view_as_real view_as_complex unfold is_set_to native_dropout
native_dropout_backward copy_ record_stream _local_scalar_dense
_scaled_dot_product_fused_attention_overrideable
_scaled_dot_product_fused_attention_overrideable_backward""".split()
)

_TF32_MODES = {"off": 0, "auto": 1, "on": 2}
_started = False
_tf32 = "off"


def _kernels(key: str) -> list[str]:
    """Ops of PyTorch that have a kernel under a dispatch key, without their namespace."""
    names = torch._C._dispatch_get_registrations_for_dispatch_key(key)
    return [name[6:] for name in names if name.startswith("aten::")]


def _boxed_ops() -> list[str]:
    composite = _kernels("CompositeExplicitAutograd")
    foreach = [name for name in composite if name.startswith("_foreach")]
    names = dict.fromkeys([*_kernels("CPU"), *foreach, *_ONE_KERNEL])
    return [name for name in names if name not in _OWN and _has_schema(name)]


def _has_schema(name: str) -> bool:
    op, _, overload = name.partition(".")
    try:
        torch._C._get_schema("aten::" + op, overload)
    except RuntimeError:
        return False
    return True


def start() -> None:
    """Registers the device `gcu`; a second call does nothing."""
    global _started
    if _started:
        return
    _started = True
    _shim.start(NUM_DEVICES, _boxed_ops(), _kernels("SparseCPU"), _kernels("SparseCsrCPU"))
    torch.utils.rename_privateuse1_backend(NAME)
    torch.utils.generate_methods_for_privateuse1_backend(for_storage=True)
    from suiren.torch import gcu

    gcu.generators.extend(_shim.generators())
    torch._register_device_module(NAME, gcu)
    sys.modules["torch.gcu"] = gcu
    from suiren.torch import cells, compiling, gcu_graphs, layouts, moving, sync_norm
    from suiren.torch.distributed import eccl

    cells.register()
    sync_norm.register()
    gcu_graphs.install()
    compiling.offer_fusing()
    moving.install()
    layouts.install()
    eccl.install()
    _start_autograd_threads()
    _shim.empty_cache()
    for index in range(NUM_DEVICES):
        _shim.reset_peak(index)


def _start_autograd_threads() -> None:
    """Backward runs in the thread that asks for it, as on the host.

    A thread per device would only hand over to the same processor. PyTorch starts those
    threads anyway at the first backward; starting them here lets a short script exit while
    none of them is still being born.
    """
    torch.autograd.set_multithreading_enabled(False)
    x = torch.ones(1, device=NAME, requires_grad=True)
    x.backward()


def configure(
    card: Card, *, numerics: bool = True, tf32: str = "auto", memory_bytes: int | None = None
) -> None:
    """Makes every device the given card.

    `tf32` is `auto` (as the script's PyTorch flags say), `on` or `off`; `memory_bytes`
    replaces the card's capacity.
    """
    capacity = int(card.memory_bytes) if memory_bytes is None else memory_bytes
    _shim.configure(capacity, numerics, "tf32" in card.formats(), _TF32_MODES[tf32])
    global _tf32
    _tf32 = tf32 if "tf32" in card.formats() else "off"


def multiplies_in_tf32(kind: str) -> bool:
    """Do f32 products (`matmul`, `conv`) enter the engine in TF32 now? As the native part asks."""
    if _tf32 == "auto":
        return bool(torch._C._get_fp32_precision_getter("cuda", kind) == "tf32")
    return _tf32 == "on"


def visible_devices() -> int:
    """How many devices a script sees: eight, or what TOPS_VISIBLE_DEVICES lists."""
    listed = os.environ.get("TOPS_VISIBLE_DEVICES")
    if listed is None:
        return NUM_DEVICES
    return min(NUM_DEVICES, len([part for part in listed.split(",") if part.strip()]))


def submodule(name: str, **members: object) -> types.ModuleType:
    """A small module made of the given members, registered under `torch.gcu`."""
    module = types.ModuleType(f"torch.gcu.{name}")
    module.__dict__.update(members)
    sys.modules[module.__name__] = module
    return module
