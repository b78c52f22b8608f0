"""Rows of collectives: NCCL, oneCCL and serving engines' kernels, in one box and between boxes."""

from __future__ import annotations

from suiren.fleet.algorithms import ALGORITHMS, switch, tree
from suiren.fleet.collective import time_collective
from suiren.fleet.fold import fold
from suiren.fleet.phases import carriers, price
from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster
from suiren.hw.spec import Card
from suiren.truth.added import Sender
from suiren.truth.engines import copied_s, engine_of, least_s, own_s
from suiren.truth.machines import machine_of
from suiren.truth.rows import Row
from suiren.truth.unknown import NotPredicted

#: What an op's text begins with.
_OPS = {
    "all_reduce": "all_reduce", "allreduce": "all_reduce", "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter", "alltoall": "all_to_all", "send_recv": "send",
    "interconnect-MPI": "all_reduce", "interconnect-P2P": "send",
}  # fmt: skip
_ITEM_BYTES = {"half": 2, "bfloat16": 2, "int8": 1, "float": 4, "fp16": 2, "float32": 4}
#: MLSL on Knights Landing: servers a node, parts of large sums, messages that shake hands first.
_SERVERS, _LARGE_PARTS, _LARGE_BYTES, _SHAKES_BYTES = 16, 4, 128 * 2**20, 64_000
#: A rate without a size is that of a long message.
LONG_BYTES = 2**30


def covers(row: Row) -> bool:
    """True for rows of this family."""
    return _op(row) is not None or row.op.startswith("MoE ")


def _op(row: Row) -> str | None:
    return next((op for beginning, op in _OPS.items() if row.op.startswith(beginning)), None)


def seconds(row: Row, card: Card) -> float:
    """The collective, and what its table's measurement adds."""
    op = _op(row)
    if op is None:
        raise NotPredicted("which copies of a token stay in the box is not told")
    if card.link is None and card.chip.vendor not in ("NVIDIA", "Intel"):
        raise NotPredicted("how these cards are joined is not published")
    n, size_bytes = ranks_of(row), bytes_of(row)
    cluster, added = machine_of(row, card, size_bytes)
    if "oneCCL" in row.op and op == "all_gather":
        # its benchmark counts what one rank gives
        size_bytes *= n
    place = _place(row, cluster, n)
    engine = engine_of(row)
    if "DeepBench" in row.source and card.chip.vendor == "Intel":
        return mlsl_s(cluster, op, size_bytes, place)
    if "DeepBench" in row.source:
        return plain_s("ring", cluster, op, size_bytes, place)
    if added.sender is not None:
        return max(added.least_s, sent_s(added.sender, cluster, size_bytes, place))
    if added.trees:
        return trees_s(cluster, op, size_bytes, place) + added.skew_s
    if engine is None:
        took = time_collective(cluster, op, size_bytes, place).seconds
        return max(added.least_s, took + added.skew_s)
    own = own_s(engine, n, size_bytes, card)
    took = own if own is not None else time_collective(cluster, op, size_bytes, place).seconds
    return max(least_s(engine, card, n), took + copied_s(engine, size_bytes, card))


def plain_s(
    algorithm: str, cluster: Cluster, op: str, size_bytes: float, place: Place,
    library: str = "", protocol: str = "simple",
) -> float:
    """Seconds of one algorithm, not chosen: rings were what libraries of cards had in 2016."""
    folded = fold(cluster, place)
    phases = ALGORITHMS[algorithm](folded, op, size_bytes)
    return price(phases, folded, carriers(folded, library), protocol).seconds


def mlsl_s(cluster: Cluster, op: str, size_bytes: float, place: Place) -> float:
    """Seconds of a sum under Intel's MLSL, which gives each of its servers a part.

    DeepBench's run_allreduce_ia.sh starts 16 servers a node; MLSL splits the part of each in four
    from 128 MiB on (src/comm_ep.cpp, `LARGE_MSG_SIZE_MB`), here one after the other.
    """
    turns = _LARGE_PARTS if size_bytes >= _LARGE_BYTES else 1
    protocol = "simple" if size_bytes / turns / _SERVERS >= _SHAKES_BYTES else "ll"
    return turns * plain_s("halving", cluster, op, size_bytes / turns, place, "MLSL", protocol)


def trees_s(cluster: Cluster, op: str, size_bytes: float, place: Place) -> float:
    """Seconds of two binary trees, with what two nodes really send."""
    folded = fold(cluster, place)
    phases = tree.phases(folded, op, size_bytes, switch.busiest_share(place.nodes))
    return price(phases, folded, carriers(folded, "NCCL"), "simple").seconds


def sent_s(sender: Sender, cluster: Cluster, size_bytes: float, place: Place) -> float:
    """Seconds of the sender's kernel: the copy into the buffers, then the wire for the rest."""
    rest = size_bytes - sender.ahead_bytes
    copied_s = min(size_bytes, sender.ahead_bytes) / sender.copy_bytes_per_s
    waits_s = time_collective(cluster, "send", rest, place).seconds if rest > 0 else 0.0
    return sender.base_s + copied_s + waits_s


def ranks_of(row: Row) -> int:
    """Cards that take part."""
    for name in ("n", "# chips / accelerator cards", "# nodes (1 process per node)"):
        if name in row.shape:
            return row.size(name)
    if row.op.startswith("interconnect-P2P"):
        return 2
    if "interserver" in row.op:
        return 16
    return 32 if "4 nodes" in row.hardware else 8


def bytes_of(row: Row) -> float:
    """The large buffer, as `time_collective` wants it."""
    shape = row.shape
    if "elements" in shape:
        return float(row.size("elements") * _ITEM_BYTES.get(row.dtype, 2))
    if "size" in shape:
        return float(row.size("size"))
    if "bytes" in shape:
        return float(shape["bytes"].replace("_", ""))
    if "payload" in shape:
        number, unit = shape["payload"][:-3], shape["payload"][-3:]
        return float(number) * {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]
    if "Size # floats" in shape:
        return 4.0 * row.size("Size # floats")
    if row.op.startswith("interconnect-"):
        return float(LONG_BYTES)
    raise KeyError("bytes")


def _place(row: Row, cluster: Cluster, n: int) -> Place:
    """Cards fill a box before the next one, unless the row says how many a box gives."""
    each = int(row.shape.get("devices_per_node", 0)) or min(n, cluster.cards_per_node)
    if row.op == "interconnect-MPI_interserver":
        raise NotPredicted("how many NICs the two servers have is not told")
    if "interserver" in row.op or "# nodes (1 process per node)" in row.shape:
        each = 1
    if n % each or each > cluster.cards_per_node:
        raise NotPredicted(f"{n} cards do not fill boxes of {cluster.cards_per_node} evenly")
    return Place(n // each, tuple(range(each)))
