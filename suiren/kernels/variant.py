"""One body, many kernels: layouts, numbers of dimensions and further operands as signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor


def variant(
    body: Callable[..., None], name: str, text: str, example: Mapping[str, int | str], **fixed: Any
) -> Kernel:
    """The kernel of signature `text` that gives `body` its tensors by name, and `fixed` options."""
    names = [parameter.name for parameter in Signature.parse(text).parameters]

    def function(core: Core, *tensors: Tensor, **options: Any) -> None:
        body(core, **dict(zip(names, tensors, strict=True)), **fixed, **options)

    function.__name__ = name
    return kernel(text, **example)(function)
