"""Tests that are skipped where they cannot run."""

import unittest

import pytest
import torch

requires_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs cuda")
def test_on_cuda():
    assert torch.ones(2).cuda().is_cuda
    torch.cuda.synchronize()


@requires_gpu
def test_memory():
    assert torch.cuda.memory_allocated("cuda:0") >= 0


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=requires_gpu)])
def test_anywhere(device):
    assert torch.ones(2, device=device).device.type == device


class CudaTest(unittest.TestCase):
    @unittest.skipUnless(torch.cuda.is_available(), "needs cuda")
    def test_stream(self):
        with torch.cuda.stream(torch.cuda.Stream()):
            torch.ones(1, device="cuda")

    def test_late(self):
        if not torch.cuda.is_available():
            self.skipTest("no cuda")
        torch.cuda.set_device(0)
