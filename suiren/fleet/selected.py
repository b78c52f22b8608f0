"""A layer whose cheap parts are computed again: PyTorch's selective checkpoint, op by op."""

from __future__ import annotations

from suiren.fleet.part import PRODUCTS, Comm, Part, Task
from suiren.fleet.share import Share
from suiren.trace.call import Call, Tensor


def selected(whole: Part, share: Share) -> Part:
    """The layer with attention, sums over ranks and every other product kept.

    torchtitan's policy (`_op_sac_save_list` and `meta[mm_count_key] % 2 == 0` in
    torchtitan/distributed/activation_checkpoint.py): of the products in their order the first is
    kept, the second computed again, and so on. The last product feeds the next layer alone and
    never runs twice. Products that a framework issues as one count as its modules': queries, keys
    and values, both sides of a gate.
    """
    keeps = _kept_columns(share)
    repeated: list[Task] = []
    kept = [("layer input", share.ops.size(share.rows, share.model.d_model))]
    products = iter(keeps)
    for task in whole.forward:
        if isinstance(task, Comm):
            if task.op == "reduce_scatter":
                kept.append(("sum", task.size_bytes / share.tp))
            elif task.op == "all_gather":
                repeated.append(task)
        elif _is_product(task):
            # experts' products are all kept
            held, again = next(products, (next(task.results()).shape[-1], 0))
            kept.append(("product", share.ops.size(share.tokens, held)))
            if again:
                repeated.append(_narrowed(share, task, again))
        elif "attention" in task.name:
            kept.append(("attention", float(sum(t.bytes for t in task.results()))))
        else:
            repeated.append(task)
    return Part(whole.forward, (*repeated, *whole.backward), tuple(kept), whole.working_bytes)


def _is_product(task: Call) -> bool:
    return task.name in PRODUCTS


def _kept_columns(share: Share) -> list[tuple[int, int]]:
    """(columns kept, columns computed again) of each product that the layer issues."""
    model = share.model
    q, kv = share.heads * model.head, share.groups * model.head
    d, wide = model.d_model, model.d_ff // share.tp
    modules = [[q, kv, kv], [d], [wide, wide] if model.gated else [wide], [d]]
    found: list[tuple[int, int]] = []
    count = 0
    for issued in modules:
        ways = [0, 0]
        one = []
        for columns in issued:
            count += 1
            ways[count % 2 == 0] += columns
            one.append((columns * (count % 2), columns * (1 - count % 2)))
        alone = issued is modules[0] and not share.framework.merged_qkv
        found += one if alone else [(ways[0], ways[1])]
    held, _ = found[-1]
    found[-1] = (held, 0)
    return found


def _narrowed(share: Share, task: Call, columns: int) -> Call:
    """The product with so many columns of its weight."""
    found = dict(task.arguments)
    weight = found["mat2"]
    assert isinstance(weight, Tensor)
    if weight.shape[1] == columns:
        return task
    turned = weight.strides[0] == 1 if weight.strides else False
    k = weight.shape[0]
    found["mat2"] = Tensor(weight.dtype, (k, columns), (1, k) if turned else None)
    result = next(task.results())
    return Call(f"aten::{task.name}", found, (Tensor(result.dtype, (result.shape[0], columns)),))
