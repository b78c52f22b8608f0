"""One core: the language kernels are written in, what they mean, and how long they take.

A kernel is a Python function over a `Core`. Calling it once builds a `Program`: loops whose
bodies are instructions on tiles. The same program is checked (`check`), run on real arrays
(`emulate`), timed exactly (`timing`) and drawn (`picture`).

    index.py         positions: what a loop counts, what a tensor is indexed with
    tile.py          tensors in device memory, tiles in a core
    instruction.py   every instruction once: meaning, preconditions, engine, work
    program.py       what a kernel built: loops and instructions
    language.py      what an author writes
    kernel.py        a function of an author, its tensors, and the programs it builds
    where.py         where in its author's file an instruction stands
    check.py         protocol of the tiles: races, deadlocks, capacities
    emulate.py       runs a program on arrays with the chip's number formats
    pace.py          how long one instruction keeps its engine
    traffic.py       bytes that reach the shared level and device memory
    loop.py          exact time of a loop nest: simulated until periodic, then jumped
    unrolled.py      the same, every iteration one by one: the definition `loop.py` must equal
    timing.py        the time of a program on a card
"""
