"""How an op on a list of sharded tensors is sharded: worked out once for every kind of tensor.

PyTorch works it out tensor by tensor, and a model of 80 equal layers has hundreds of a dozen kinds.
The answers are PyTorch's own: an op on one tensor of every kind is asked of it, and what it says of
a kind holds for every tensor of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.distributed.tensor import _op_schema, _sharding_prop
from torch.distributed.tensor._dtensor_spec import DTensorSpec

#: Ops whose tensors do not meet: what becomes of one hangs on its own place in the lists alone.
ELEMENT_BY_ELEMENT = ("aten::_foreach_", "aten::_fused_adam", "aten::_fused_sgd")
#: Shorter lists are left to PyTorch.
FEWEST = 8

Ask = Callable[[Any, Any], Any]


def install() -> None:
    """Takes the repetition out of `ShardingPropagator`."""
    propagator: Any = _sharding_prop.ShardingPropagator
    ask: Ask = propagator.propagate_op_sharding_non_cached

    def by_kind(self: Any, schema: Any) -> Any:
        places = _lists(schema)
        if places is None:
            return ask(self, schema)
        kinds: dict[tuple[Any, ...], int] = {}
        columns = zip(*(schema.args_schema[place] for place in places), strict=True)
        kind_of = [kinds.setdefault(column, len(kinds)) for column in columns]
        if 2 * len(kinds) > len(kind_of):
            return ask(self, schema)
        first = [kind_of.index(kind) for kind in range(len(kinds))]
        return _spread(ask(self, _with_lists(schema, places, first)), schema, places, kind_of)

    propagator.propagate_op_sharding_non_cached = by_kind


def _lists(schema: Any) -> list[int] | None:
    """Places of arguments that are lists of sharded tensors, all equally long; else None."""
    if not schema.op.name().startswith(ELEMENT_BY_ELEMENT):
        return None
    places, lengths = [], set()
    for place, argument in enumerate(schema.args_schema):
        if not isinstance(argument, (list, tuple)) or not argument:
            continue
        if not all(isinstance(spec, DTensorSpec) for spec in argument):
            return None
        places.append(place)
        lengths.add(len(argument))
    has_others = any(isinstance(v, (list, tuple, torch.Tensor)) for v in _keywords(schema))
    is_even = len(lengths) == 1 and lengths.pop() >= FEWEST
    return places if is_even and not has_others else None


def _keywords(schema: Any) -> Sequence[Any]:
    return tuple(schema.kwargs_schema.values())


def _with_lists(schema: Any, places: Sequence[int], chosen: Sequence[int]) -> Any:
    """The schema with some elements of its lists, given by index."""
    arguments = list(schema.args_schema)
    for place in places:
        arguments[place] = type(arguments[place])(arguments[place][i] for i in chosen)
    return _op_schema.OpSchema(
        schema.op, tuple(arguments), schema.kwargs_schema, schema_info=schema.schema_info
    )


def _spread(found: Any, schema: Any, places: Sequence[int], kind_of: Sequence[int]) -> Any:
    """What was found for every kind, said of every element."""
    output = found.output_spec
    if isinstance(output, (list, tuple)):
        output = type(output)(output[kind] for kind in kind_of)
    wanted = found.redistribute_schema
    if wanted is not None:
        wanted = _with_lists(wanted, places, kind_of)
    return _op_schema.OutputSharding(
        output, wanted, found.needs_redistribute, found.use_val_from_redistribute_schema
    )
