"""What one rank computes of a model's parts: sizes divided by the degrees of a layout."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from suiren.fleet.framework import Framework
from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.ops import FP4, FP8, Ops

_FORMATS = {"fp32": ("f32", "f32"), "tf32": ("f32", "tf32"), "fp16": ("f16", "f16"),
            "bf16": ("bf16", "bf16"), "fp8": ("bf16", FP8),
            "fp4": ("bf16", FP4)}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Share:
    """A rank's share of the layers: what the calls of a layer depend on, and nothing else."""

    model: Model
    framework: Framework
    tp: int
    cp: int
    ep: int
    micro_batch: int
    sequence_parallel: bool
    overlap_tensor: bool
    recompute: str
    precision: str
    distinct_tokens: bool = False
    ops: Ops = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", Ops(*_FORMATS[self.precision], self._looks_first()))

    def _looks_first(self) -> bool:
        if self.precision == "fp4":
            return True  # its second scale, for the whole tensor
        return self.precision == "fp8" and self.framework.scaling == "current"

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What two equal shares have in common, cheap to compare."""
        return (self.model, self.framework, self.tp, self.cp, self.ep, self.micro_batch,
                self.sequence_parallel, self.overlap_tensor, self.recompute,
                self.precision, self.distinct_tokens)  # fmt: skip

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, object]:
        # another process hashes text another way
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Share) and self.key == other.key

    @property
    def seq(self) -> int:
        """Tokens of a sequence on this rank."""
        return self.model.seq // self.cp

    @property
    def tokens(self) -> int:
        """Tokens of a micro-batch on this rank while products are computed."""
        return self.micro_batch * self.seq

    @property
    def rows(self) -> int:
        """Tokens of norms and residuals: sequence parallelism splits them over tp."""
        return -(-self.tokens // self.tp) if self.sequence_parallel else self.tokens

    @property
    def heads(self) -> int:
        """Query heads of this rank."""
        return self.model.heads // self.tp

    @property
    def groups(self) -> int:
        """Heads of keys and values of this rank."""
        return max(1, self.model.groups // self.tp)

    @property
    def vocab(self) -> int:
        """Entries of the vocabulary on this rank, padding included."""
        if not self.framework.vocab_multiple:
            return self.model.vocab // self.tp
        grain = self.framework.vocab_multiple * self.tp
        return -(-self.model.vocab // grain) * grain // self.tp

    @property
    def expert_tp(self) -> int:
        """Ranks that share one expert's products; experts spread over ranks are not split."""
        return 1 if self.ep > 1 else self.tp

    @property
    def stream_bytes(self) -> float:
        """Bytes of the activations between layers, unsplit over tp."""
        return self.ops.size(self.tokens, self.model.d_model)


def share_of(model: Model, layout: Layout, framework: Framework) -> Share:
    """The share of one rank."""
    return Share(
        model=model, framework=framework, tp=layout.tp, cp=layout.cp, ep=layout.ep,
        micro_batch=layout.micro_batch, sequence_parallel=layout.sequence_parallel,
        overlap_tensor=layout.overlap_tensor, recompute=layout.recompute,
        precision=layout.precision, distinct_tokens=layout.distinct_tokens,
    )  # fmt: skip


def kept_whole(share: Share) -> Share:
    """The share with nothing computed again."""
    return replace(share, recompute="none")


def again_of(layers: int, every: int) -> int:
    """Layers that are computed again where one in `every` is."""
    return -(-layers // every)
