"""Ops that take integers on an accelerator and floats alone on the host."""

import pytest
import torch


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8])
def test_histc_counts_integers_in_their_own_format(dtype):
    counts = torch.histc(torch.tensor([0, 1, 1, 3], dtype=dtype, device="gcu"), 4, 0, 3)
    assert counts.device.type == "gcu"
    assert counts.dtype == dtype
    assert counts.tolist() == [1, 2, 0, 1]


def test_histc_of_floats_is_the_hosts():
    x = torch.randn(100)
    assert torch.histc(x.to("gcu"), 7).tolist() == torch.histc(x, 7).tolist()
