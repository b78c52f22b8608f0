"""What a mask keeps agrees with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from suiren.core.emulate import emulate
from suiren.kernels.compaction import masked_select, nonzero


@pytest.mark.parametrize("size, pieces, tile", [(1, 1, 8), (100, 1, 16), (100, 3, 16), (77, 8, 5)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_marked_elements_move_together(size, pieces, tile, share):
    rng = np.random.default_rng(70)
    x, mask = rng.integers(-50, 50, size), rng.random(size) < share
    sizes = {"N": size, "S": pieces, "T": "bf16"}
    chosen = emulate(masked_select.build(sizes, tile=tile), {"x": x, "mask": mask})
    found = emulate(nonzero.build(sizes, tile=tile), {"mask": mask})
    for got, wanted in ((chosen, x[mask]), (found, np.flatnonzero(mask))):
        assert got["count"] == mask.sum()
        assert (got["y"][: mask.sum()] == wanted).all()
        assert np.isnan(got["y"][mask.sum() :]).all()
