"""HOW SCRIPTS COME IN: the `gcu` device of PyTorch, and what records it.

shim/        the native part: device, memory, hand-over to host kernels, record
device.py    starts the shim and names it `gcu`
gcu.py       the module `torch.gcu`
transfer.py  scripts written for `cuda`
capturing.py what a graph captures, and its replay
launching.py kernels that the host launches as one
watch.py     module paths, optimizer steps, owners of memory
session.py   one run on one card: record in, simulated time out
runner.py    runs a user's script
how.py       how to run it
"""
