"""Splitting a group as NCCL's communicators split: each part is a group made by its own ranks.

PyTorch makes the groups of a mesh so where `init_process_group` was told a `device_id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.distributed as dist
from torch.distributed import device_mesh
from torch.distributed import distributed_c10d as c10d


def install() -> None:
    """Splits groups this way wherever PyTorch or a script asks for it."""
    for place in (dist, c10d, device_mesh):
        vars(place)["split_group"] = split_group


def split_group(
    parent_pg: Any = None, split_ranks: Sequence[Sequence[int]] | None = None,
    timeout: Any = None, pg_options: Any = None, group_desc: str | None = None,
    backend: Any = None,
) -> Any:  # fmt: skip
    """The part of a split group that this rank is in; None if it is in none.

    `split_ranks` count within the parent. Only the ranks of a part meet.
    """
    parent = parent_pg or c10d._get_default_group()
    ranks = dist.get_process_group_ranks(parent)
    me = parent.rank()
    for part in split_ranks or []:
        if me in part:
            return c10d._new_group_with_tag(
                [ranks[r] for r in sorted(part)],
                timeout=timeout,
                backend=backend or c10d._world.pg_map[parent][0],
                use_local_synchronization=True,
                group_desc=group_desc or f"{parent.group_desc}:split",
            )
    return None
