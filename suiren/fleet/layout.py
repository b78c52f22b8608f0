"""How a training job is laid out over ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from suiren.fleet.model import Model
from suiren.fleet.place import Place, place_of
from suiren.hw.spec import Card

Schedule = Literal["1f1b", "gpipe", "interleaved", "zero-bubble"]
Recompute = Literal["none", "selective", "full"]


class BadLayout(ValueError):  # noqa: N818 - reads as what it is
    """A layout that no job could run; the message gives the numbers."""


def check_format(precision: str, card: Card) -> None:
    """Raises BadLayout for products of 8 or 4 bits on a card that has none."""
    formats = card.formats()
    if precision in ("fp8", "fp4") and precision not in formats:
        raise BadLayout(f"{card.title} does not multiply in {precision}; it does in "
                        f"{', '.join(formats)}")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Degrees of parallelism, batch, and what is kept or computed again.

    Ranks are numbered as Megatron does: tensor parallel fastest, then context, data, pipeline.
    """

    global_batch: int
    micro_batch: int = 1
    tp: int = 1
    pp: int = 1
    vpp: int = 1
    cp: int = 1
    ep: int = 1
    dp: int = 1
    sequence_parallel: bool = False
    zero: int = 0
    """0: every rank holds all of its part; 1: optimizer states shared over dp; 2: gradients too;
    3: weights too."""
    recompute: Recompute = "none"
    schedule: Schedule = "1f1b"
    precision: Literal["fp32", "tf32", "fp16", "bf16", "fp8", "fp4"] = "bf16"
    offload: Literal["none", "optimizer"] = "none"
    """`optimizer`: its states lie in the host's memory, which updates the weights."""
    overlap_gradients: bool = False
    """Gradients are reduced while the last micro-batch is still in its backward pass."""
    overlap_tensor: bool = False
    """Gathers and scatters of tensor parallel groups run beside the products that need them."""
    distinct_tokens: bool = False
    """A token goes to each rank of its experts once, however many of them lie there."""
    copies: int = 1
    """Whole sets of shards among the data and context parallel ranks (HSDP): shards are summed
    over the copies."""
    recompute_every: int = 1
    """With `recompute` full: one of so many layers is computed again."""
    first_stage_layers: int = 0
    last_stage_layers: int = 0
    """Layers of the first and last stage where they differ from the others'; 0 for even."""

    @property
    def ranks(self) -> int:
        """Cards that the job takes."""
        return self.tp * self.pp * self.cp * self.dp

    @property
    def shards(self) -> int:
        """Ranks that each hold another part of a sharded weight."""
        return self.dp * self.cp // self.copies

    @property
    def micro_batches(self) -> int:
        """Micro-batches that each pipeline works through in a step."""
        return self.global_batch // (self.dp * self.micro_batch)

    def check(self, model: Model, num_ranks: int = 0) -> None:
        """Raises BadLayout where the numbers do not fit each other, the model or the cluster."""
        share = self.dp * self.micro_batch
        for name in ("global_batch", "micro_batch", "tp", "pp", "vpp", "cp", "ep", "dp"):
            if getattr(self, name) < 1:
                raise BadLayout(
                    f"impossible layout: {name} is {getattr(self, name)}; the least is 1"
                )
        rules = (
            (not num_ranks or self.ranks <= num_ranks,
             f"tp {self.tp} x cp {self.cp} x dp {self.dp} x pp {self.pp} needs {self.ranks} ranks, "
             f"the cluster has {num_ranks}"),
            (self.global_batch % share == 0,
             f"global batch {self.global_batch} is no multiple of dp {self.dp} x "
             f"micro-batch {self.micro_batch}"),
            (model.heads % self.tp == 0, f"{model.heads} heads cannot be split over tp {self.tp}"),
            (self.pp * self.vpp <= model.layers,
             f"pp {self.pp} x vpp {self.vpp} needs as many layers, the model has {model.layers}"),
            (self.vpp == 1 or self.pp > 1, f"vpp {self.vpp} needs a pipeline, pp is 1"),
            (self.vpp == 1 or self.micro_batches % self.pp == 0,
             f"the interleaved schedule needs micro-batches in multiples of pp {self.pp}, the step "
             f"has {self.micro_batches}"),
            (self.ep == 1 or (model.experts > 0 and model.experts % self.ep == 0),
             f"{model.experts} experts cannot be split over ep {self.ep}"),
            (self.tp * self.cp * self.dp % self.ep == 0,
             f"ep {self.ep} does not divide tp {self.tp} x cp {self.cp} x dp {self.dp}"),
            (model.seq % self.cp == 0, f"{model.seq} tokens cannot be split over cp {self.cp}"),
            (self.zero in (0, 1, 2, 3), f"zero is 0, 1, 2 or 3, not {self.zero}"),
            (self.zero < 2 or self.pp == 1,
             f"zero {self.zero} shares gradients, which a pipeline of {self.pp} keeps whole"),
            (self.copies >= 1 and self.dp * self.cp % self.copies == 0,
             f"dp {self.dp} x cp {self.cp} ranks cannot hold {self.copies} copies of the shards"),
        )  # fmt: skip
        for holds, reason in rules:
            if not holds:
                raise BadLayout(f"impossible layout: {reason}")

    def stage_layers(self, model: Model) -> tuple[tuple[int, ...], ...]:
        """Layers of each chunk, by stage: `[stage][chunk]` in the order chunks are passed."""
        slots = self.pp * self.vpp
        given = self.first_stage_layers + self.last_stage_layers
        ends = bool(self.first_stage_layers) + bool(self.last_stage_layers)
        even, more = divmod(model.layers - given, max(1, slots - ends))
        counts: list[int] = []
        for slot in range(slots):
            if slot == 0 and self.first_stage_layers:
                counts.append(self.first_stage_layers)
            elif slot == slots - 1 and self.last_stage_layers:
                counts.append(self.last_stage_layers)
            else:
                counts.append(even)
        # what does not divide goes to stages in the middle, the ends hold embedding and head
        for slot in sorted(range(slots), key=lambda n: abs(n - (slots - 1) / 2))[:more]:
            counts[slot] += 1
        chunks = range(self.vpp)
        return tuple(tuple(counts[c * self.pp + s] for c in chunks) for s in range(self.pp))

    def place(self, group: str, cards_per_node: int) -> Place:
        """Where a group sits: `tp`, `cp`, `dp`, `ep`, `pp` (two neighbours), `embedding` (ends).

        `shards`: ranks that share one copy of the weights; `copies`: those with the same shard.
        """
        tp, cp, dp = self.tp, self.cp, self.dp
        stage = tp * cp * dp
        ranks: dict[str, Sequence[int]] = {
            "tp": range(tp), "cp": range(0, tp * cp, tp), "dp": range(0, stage, tp * cp),
            "dpcp": range(0, stage, tp), "ep": range(self.ep), "edp": range(0, stage, self.ep),
            "shards": range(0, stage // self.copies, tp),
            "copies": range(0, stage, stage // self.copies),
            "pp": [0, stage], "embedding": [0, stage * (self.pp - 1)],
        }  # fmt: skip
        return place_of(ranks[group], cards_per_node)
