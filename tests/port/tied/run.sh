#!/bin/bash
# nvidia-smi would tell more
export NCCL_P2P_DISABLE=1  # tie: nccl-env
nvidia-smi -q  # tie: nvidia-tool
CUDA_VISIBLE_DEVICES=0,1 torchrun train.py --device cuda:0  # tie: cuda-env config-device
docker run --gpus all image python train.py  # tie: gpu-flag
