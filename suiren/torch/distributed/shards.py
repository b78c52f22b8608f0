"""The shards of a tensor, of which a rank needs its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class Shards(Sequence[torch.Tensor]):
    """The pieces of `torch.chunk`, each cut when it is asked for; empty past the end."""

    def __init__(self, tensor: torch.Tensor, num_chunks: int, dim: int) -> None:
        self.tensor, self.num_chunks, self.dim = tensor, num_chunks, dim
        self.size = max(1, -(-tensor.size(dim) // num_chunks))

    def __len__(self) -> int:
        return self.num_chunks

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.num_chunks))]
        index = index + self.num_chunks if index < 0 else index
        if not 0 <= index < self.num_chunks:
            raise IndexError(index)
        start, length = index * self.size, self.tensor.size(self.dim)
        if start >= length and index:
            return self.tensor.new_empty(0)
        return self.tensor.narrow(self.dim, start, min(self.size, length - start))
