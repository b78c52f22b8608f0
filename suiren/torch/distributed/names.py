"""Scripts that say `nccl`: it means the card's own backend, and they are answered `nccl`.

PyTorch's own code that asks for the backend's name then takes the path it takes on CUDA.
"""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d as c10d

from suiren.torch import compiling
from suiren.torch.device import NAME
from suiren.torch.distributed import attention, groups, spawning

NCCL, ECCL = "nccl", "eccl"
#: What PyTorch gives a group of NCCL to meet.
NCCL_TIMEOUT = timedelta(minutes=10)
_VERSION = (2, 27, 5)

ToCard = Callable[[Any], Any]
on_new_group: list[Callable[[str, str, Sequence[int]], AbstractContextManager[None]]] = []
"""Entered while a group is made, with words for it, its name, and its ranks."""


def install(to_gcu: ToCard) -> None:
    """Makes `nccl` name the card's backend; `to_gcu` makes a device that means CUDA the card."""
    if not dist.is_available():
        return
    c10d.default_pg_nccl_timeout = NCCL_TIMEOUT
    dist.is_nccl_available = c10d.is_nccl_available = lambda: True
    c10d.ProcessGroupNCCL = dist.ProcessGroupNCCL = ProcessGroupNCCL
    _patch_groups(to_gcu)
    _patch_answers(to_gcu)
    _patch_version()
    _patch_meshes()
    spawning.install()


def speak_cuda() -> None:
    """The script has said `cuda`: what is asked for the accelerator is answered so."""

    def accelerator(check_available: bool = False) -> torch.device:
        return torch.device(NAME if compiling.is_on else "cuda")

    torch.accelerator.current_accelerator = accelerator
    torch._C._get_accelerator = lambda check=None: accelerator()
    index_of = torch.accelerator._get_device_index

    def index(device: Any, optional: bool = False) -> int:
        """PyTorch compares the device's name with the accelerator's: both names are right."""
        where = torch.device(device) if isinstance(device, str) else device
        if isinstance(where, torch.device) and where.type in (NAME, "cuda"):
            if where.index is not None:
                return int(where.index)
            where = None if optional else where
        return int(index_of(where, optional))

    torch.accelerator._get_device_index = index


class ProcessGroupNCCL:
    """Stands for NCCL's groups where scripts ask for their options; no group is one."""

    class NCCLConfig:
        """Settings of a communicator: kept, and without effect."""

    class Options:
        """Options of a group: kept, and without effect."""

        def __init__(self, is_high_priority_stream: bool = False) -> None:
            self.is_high_priority_stream = is_high_priority_stream
            self.config = ProcessGroupNCCL.NCCLConfig()
            self._timeout = NCCL_TIMEOUT


def card_s_name(backend: str) -> str:
    """A backend, or a list of device:backend, with the card's names for CUDA's."""
    if ":" not in backend:
        return ECCL if backend == NCCL else backend
    pairs = [pair.split(":") for pair in backend.split(",")]
    return ",".join(
        ":".join((NAME if pair[0] == "cuda" else pair[0], *map(card_s_name, pair[1:])))
        for pair in pairs
    )


def said_name(card_s: str) -> str:
    """The other way: what a script for CUDA reads."""
    return card_s.replace(f"{NAME}:", "cuda:").replace(ECCL, NCCL)


def _patch_groups(to_gcu: ToCard) -> None:
    make_group = c10d._new_process_group_helper
    at_backend = 3

    @functools.wraps(make_group)
    def make(*arguments: Any, **keywords: Any) -> Any:
        said = str(keywords["backend"] if "backend" in keywords else arguments[at_backend])
        backend = c10d.Backend(card_s_name(_named(said)))
        if "backend" in keywords:
            keywords["backend"] = backend
        else:
            arguments = (*arguments[:at_backend], backend, *arguments[at_backend + 1 :])
        if isinstance(keywords.get("backend_options"), ProcessGroupNCCL.Options):
            keywords["backend_options"] = None
        keywords = {k: to_gcu(v) for k, v in keywords.items()}
        _patch_fsdp1()
        _patch_random()
        with _meeting(*arguments, **keywords):
            group, store = make_group(*(to_gcu(a) for a in arguments), **keywords)
        if said != str(backend) and group in c10d._world.pg_map:
            c10d._world.pg_map[group] = (said, c10d._world.pg_map[group][1])
            config = c10d._world.pg_backend_config[group]
            c10d._world.pg_backend_config[group] = said_name(str(config))
        return group, store

    c10d._new_process_group_helper = make
    for name in ("init_process_group", "new_group"):
        patched = _with_card(getattr(c10d, name), to_gcu)
        setattr(c10d, name, patched)
        setattr(dist, name, patched)


def _named(said: str) -> str:
    """No backend named: that of the accelerator, as meshes ask for that nobody prepared."""
    is_open = said == c10d.Backend.UNDEFINED and torch.accelerator.is_available()
    return f"cuda:{NCCL}" if is_open else said


def _patch_random() -> None:
    """Only where groups are made: the module it needs takes long to load."""
    from suiren.torch.distributed import shard_random

    shard_random.install()


def _meeting(
    size: int, rank: int, ranks: Sequence[int], backend: str, store: Any, group_name: str,
    *_: Any, **__: Any,
) -> ExitStack:  # fmt: skip
    """What is to be entered while this process takes part in making a group."""
    stack = ExitStack()
    own = rank if not ranks else dist.get_rank()
    if own in (ranks or range(size)):
        what = f"new_group of ranks {list(ranks)}" if ranks else "init_process_group"
        for enter in on_new_group:
            stack.enter_context(enter(what, group_name, ranks or range(size)))
    return stack


def _with_card(function: Callable[..., Any], to_gcu: ToCard) -> Callable[..., Any]:
    """PyTorch compares `device_id` with the accelerator's type, whichever name it has now."""

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        where = to_gcu(keywords.get("device_id"))
        if isinstance(where, torch.device) and where.type == NAME:
            accelerator = torch.accelerator.current_accelerator()
            kind = NAME if accelerator is None else accelerator.type
            keywords["device_id"] = torch.device(kind, where.index)
        return function(*arguments, **keywords)

    return call


def _patch_answers(to_gcu: ToCard) -> None:
    find = dist.ProcessGroup._get_backend

    def get_backend(self: Any, device: Any) -> Any:
        return find(self, to_gcu(device))

    dist.ProcessGroup._get_backend = get_backend
    model = torch.nn.parallel.DistributedDataParallel
    check = model._check_comm_hook

    def check_hook(self: Any, hook: Any) -> None:
        """Hooks that compress to BF16 ask for a CUDA build; the card has what they need."""
        real, torch.version.cuda = torch.version.cuda, torch.version.cuda or "12.8"
        try:
            check(self, hook)
        finally:
            torch.version.cuda = real

    model._check_comm_hook = check_hook


def _patch_version() -> None:
    nccl = torch.cuda.nccl
    nccl.version = lambda: _VERSION
    nccl.is_available = lambda *_: True


def _patch_meshes() -> None:
    """The first mesh brings the rules of sharded attention; what spans the world is noted."""
    mesh = torch.distributed.device_mesh.DeviceMesh
    make = mesh.__init__

    @functools.wraps(make)
    def init(self: Any, *arguments: Any, **keywords: Any) -> None:
        attention.install()
        make(self, *arguments, **keywords)
        if dist.is_initialized():
            groups.note_mesh(self)

    mesh.__init__ = init
    for owner in (torch.distributed.device_mesh, dist):
        owner.init_device_mesh = _within_the_world(owner.init_device_mesh)


def _within_the_world(make: Callable[..., Any]) -> Callable[..., Any]:
    """A mesh that needs more ranks than there are says so before anything meets."""

    @functools.wraps(make)
    def call(device_type: str, mesh_shape: Sequence[int], **keywords: Any) -> Any:
        started = os.environ.get("WORLD_SIZE", "1")
        size = dist.get_world_size() if dist.is_initialized() else int(started)
        if math.prod(mesh_shape) > size:
            raise RuntimeError(
                f"a mesh of {' × '.join(map(str, mesh_shape))} needs {math.prod(mesh_shape)} "
                f"ranks, and the run has {size}: choose sides whose product is {size}"
            )
        return make(device_type, mesh_shape, **keywords)

    return call


def _patch_fsdp1() -> None:
    """`device_id=1` means the device as the script names it; done once FSDP has been imported."""
    module: Any = sys.modules.get("torch.distributed.fsdp._init_utils")
    if module is None or hasattr(module._get_device_from_device_id, "__wrapped__"):
        return
    find = module._get_device_from_device_id

    @functools.wraps(find)
    def found(device_id: Any, rank: int, handle: Any) -> Any:
        if isinstance(device_id, int):
            accelerator = torch.accelerator.current_accelerator()
            device_id = torch.device(accelerator.type if accelerator else NAME, device_id)
        return find(device_id, rank, handle)

    module._get_device_from_device_id = found
