"""`torch.compile(model, backend="suiren")`: fuses chains and epilogues into single kernels.

AOT autograd gives the forward and the backward graph, cut where the least memory is kept
between them. In each, every group of nodes that one kernel can run becomes one call.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from torch._dynamo.backends.common import aot_autograd
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch.fx import GraphModule
from torch.fx.graph import _BoxedCodeGen

from suiren.torch.condensing import Condensing, OrderLostError
from suiren.torch.grouping import Groups
from suiren.torch.launching import as_one

NAME = "suiren"
AS_ONE = ("reduce-overhead", "max-autotune")


def backend(
    graph: GraphModule, inputs: Sequence[Any], mode: str | None = None, **_: Any
) -> Callable[..., Any]:
    """The dynamo backend; modes that ask for graphs launch all kernels of a graph as one."""
    one = mode in AS_ONE
    kernels = _compile_as_one if one else _compile
    compile_ = aot_autograd(
        fw_compiler=kernels,
        bw_compiler=kernels,
        inference_compiler=kernels,
        partition_fn=min_cut_rematerialization_partition,
        keep_inference_input_mutations=True,
    )
    return compile_(graph, inputs)


def _compile(graph: GraphModule, _: Sequence[Any]) -> Callable[[list[Any]], Any]:
    fused = fuse(graph)
    forward = fused.forward

    def run(arguments: list[Any]) -> Any:
        return forward(arguments)

    run._boxed_call = True
    return run


def _compile_as_one(graph: GraphModule, inputs: Sequence[Any]) -> Callable[[list[Any]], Any]:
    run = _compile(graph, inputs)

    def launch(arguments: list[Any]) -> Any:
        with as_one():
            return run(arguments)

    launch._boxed_call = True
    return launch


def fuse(module: GraphModule) -> GraphModule:
    """The module with every group of its graph run as one kernel; takes a list and empties it."""
    module.graph.eliminate_dead_code()
    try:
        fused = Condensing(Groups(module.graph)).graph()
    except OrderLostError:  # a graph that mutates what its later nodes read: it runs op by op
        fused = copy.deepcopy(module.graph)
    fused.set_codegen(_BoxedCodeGen())
    fused.eliminate_dead_code()
    fused.lint()
    return GraphModule(module, fused)
