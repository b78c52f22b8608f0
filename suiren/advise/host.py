"""Changes where the host computes part of a step: its optimizer elsewhere, or in fewer passes."""

from __future__ import annotations

from dataclasses import replace

from suiren.advise.asked import Ask, Asked
from suiren.events.queue import SYNC
from suiren.mapper.families import work_of
from suiren.mapper.families.host import NAMESPACE, is_on_host, number_of, rate_of
from suiren.trace.call import Call, Tensor, Value

#: FP32 weights and two moments that an optimizer of the card would hold, bytes a weight.
STATES_BYTES = 12
#: FP32 numbers a fused Adam reads and writes a weight.
_READS, _WRITES = 4, 3
_Item = Ask | tuple[int, int, int, int, int]


def weights_of(asked: Asked) -> int:
    """Weights that the host's optimizer updates; 0 where it has none."""
    return max((_updated(ask.call) for ask in _of_host(asked)), default=0)


def _of_host(asked: Asked) -> list[Ask]:
    return [ask for ask in asked.ops() if is_on_host(ask.call) and ask.phase == "optimizer"]


def _updated(call: Call) -> int:
    """Weights that an op of an optimizer writes, FP32 each."""
    written = number_of(call, "written_bytes") // 4
    if "fused_adam" in call.name:
        return written // _WRITES
    return written if call.name.endswith("addcdiv_") else 0


def on_card(asked: Asked) -> Asked | None:
    """The optimizer on the card: one fused update; nothing goes down to the host or comes back."""
    weights = weights_of(asked)
    if not weights:
        return None
    own: Value = (Tensor("f32", (weights,)),)
    names = ("self", "grads", "exp_avgs", "exp_avg_sqs")
    fused = Call("aten::_fused_adamw_", dict.fromkeys(names, own), ())
    kept: list[_Item] = []
    last: Ask | None = None
    for item in asked.asks:
        if isinstance(item, Ask) and item.phase == "optimizer":
            if is_on_host(item.call):
                last = item
                continue
            if item.work.family == "transfer":
                continue
        elif not isinstance(item, Ask) and item[0] == SYNC:
            continue  # the host waited for gradients; a loss is read once in a while
        kept.append(item)
    assert last is not None
    kept.append(replace(last, call=fused, work=work_of(fused)))
    return replace(asked, asks=tuple(kept))


def fused_on_host(asked: Asked) -> Asked | None:
    """`fused=True` in the host's optimizer: one pass over its memory instead of a dozen."""
    run: list[int] = []
    found: list[int] = []
    for index, item in enumerate((*asked.asks, None)):
        if isinstance(item, Ask) and is_on_host(item.call):
            run.append(index)
            continue
        if any(_is_divided(asked.asks[n]) for n in run):
            found = run
        run = []
    if not found:
        return None
    mine = [ask for n in found if isinstance(ask := asked.asks[n], Ask)]
    weights = max(_updated(ask.call) for ask in mine)
    ops = max(number_of(ask.call, "ops") for ask in mine if _is_divided(ask))
    arguments: dict[str, Value] = {
        "ops": ops, "read_bytes": 4 * _READS * weights, "written_bytes": 4 * _WRITES * weights,
        "bytes_per_s": round(rate_of(mine[0].call)),
    }  # fmt: skip
    fused = Call(f"{NAMESPACE}_fused_adamw_", arguments, ())
    asks = [a for n, a in enumerate(asked.asks) if n not in found[1:]]
    asks[found[0]] = replace(mine[0], call=fused, work=work_of(fused))
    return replace(asked, asks=tuple(asks))


def _is_divided(item: _Item) -> bool:
    """The step of an unfused Adam that writes weights."""
    return isinstance(item, Ask) and item.call.name.endswith("addcdiv_")
