"""Kernels and libraries for CUDA."""

import ctypes

import apex  # tie: apex
import bitsandbytes as bnb  # tie: bitsandbytes
import cupy as cp  # tie: cuda-array-library
import numpy as np
import pynvml  # tie: nvml
import torch
import transformer_engine.pytorch as te  # tie: kernel-library
import triton  # tie: triton-kernel
import xformers.ops as xops  # tie: xformers
from flash_attn import flash_attn_func  # tie: flash-attention
from numba import cuda  # tie: cuda-array-library
from torch.utils.cpp_extension import CUDAExtension, load_inline  # tie: cuda-extension
from vllm import LLM  # tie: serving-library

SOURCE = "__global__ void scale(float* x) {}"


@triton.jit  # tie: triton-kernel
def kernel(x):
    pass


def build():
    runtime = ctypes.CDLL("libcudart.so")  # tie: native-library
    torch.ops.load_library("ops.so")  # tie: native-library
    scale = load_inline("scale", cpp_sources="", cuda_sources=SOURCE)  # tie: cuda-extension
    torch.set_default_tensor_type("torch.cuda.FloatTensor")  # tie: default-tensor-type
    halves = torch.ones(2).type(torch.cuda.HalfTensor)  # tie: cuda-type-cast
    wide = torch.from_numpy(np.random.randn(4, 4))  # tie: numpy-float64
    narrow = halves.double()  # tie: float64
    major, _ = torch.cuda.get_device_capability()  # tie: cuda-device-facts
    torch.cuda.memory._record_memory_history()  # tie: cuda-internal
    version = torch.version.cuda.split(".")  # tie: cuda-version
    model = torch.nn.DataParallel(torch.nn.Linear(2, 2), device_ids=[0, 1])  # tie: data-parallel-devices
    return runtime, scale, wide, narrow, major, version, model


def load(kind, name):
    return kind.from_pretrained(
        name,
        device_map="cuda",  # tie: device-text
        attn_implementation="flash_attention_2",  # tie: flash-option
        load_in_4bit=True,  # tie: quantised-option
    )


def everything():
    return apex, bnb, cp, pynvml, te, xops, flash_attn_func, cuda, LLM, CUDAExtension
