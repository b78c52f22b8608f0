"""DOES IT RUN: PyTorch's own test databases against the device, every sample beside the host's.

judgement.py  what is said of one sample
loading.py    PyTorch's databases, without what loading them does to the process
placing.py    a sample's tensors, laid on the card as they lie on the host
alike.py      are two answers the same
trial.py      one sample of one operator, check by check
operators.py  `op_db`: forward, backward, out, in-place, views, strides, promotion, errors
modules.py    `module_db`: forward and backward of every `torch.nn` module
optimizers.py `optim_db`: steps of every optimizer
timing.py     does every op of a sample get a time
work.py       one process that judges subjects one after the other
sweep.py      all subjects over several such processes; a crash costs one subject
summary.py    what a sweep found, counted
expected.py   failures that are known, each with its reason
"""
