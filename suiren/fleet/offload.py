"""The optimizer on the host: gradients go down, weights come back, states never leave it.

Three things follow each other, as in a PyTorch script that waits for its gradients, runs a fused
Adam on parameters of its own and copies them back: the cards idle meanwhile. A framework that
overlaps them by blocks (Ren et al. 2021, section 4) takes less.
"""

from __future__ import annotations

from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact, derived
from suiren.hw.host import facts_of, share_bytes_per_s

#: Memory traffic of the host's fused Adam for a weight, all FP32: gradient, weight and both
#: moments are read, the last three written.
ADAM_BYTES: Fact = derived(28.0, "4 x 4 read, 3 x 4 written; torch.optim.AdamW(fused=True)")


def host_optimizer_s(params: float, grad_bytes: float, cluster: Cluster, ranks: int) -> float:
    """Seconds of one optimizer step for `params` weights of a rank whose states lie on the host.

    `grad_bytes` are those of one weight's gradient on its way down; weights come back in FP32.
    `ranks` are all ranks of the job: those of one node share its host's memory, and each has the
    host link of its own card.
    """
    link_s = params * (grad_bytes + 4) / float(cluster.card.host_bytes_per_s)
    return link_s + params * float(ADAM_BYTES) / share_bytes_per_s(cluster.node, ranks)


def host_facts(cluster: Cluster) -> dict[str, Fact]:
    """What that time rests on, by name."""
    return facts_of(cluster.node)
