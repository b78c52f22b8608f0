#!/bin/sh
# CUDA_VISIBLE_DEVICES=0 would choose one
python train.py --steps 2
