"""ARE THE NUMBERS RIGHT: a script run in lock-step with a better one, op by op.

host.py       the card's tensors seen from the host, and what is held beside each storage
wide.py       one op again on the host, in a wider format
special.py    ops that need more than that: attention, random numbers, fused ops, own kernels
place.py      where an op stands: phase, module, line, step
explain.py    how much error an op's format explains
nonfinite.py  where a NaN or an infinity came from, in words
judge.py      what is wrong with one op's results
values.py     what an op is given in each of the runs
inherit.py    what a result takes over from its inputs
chains.py     sums that lose digits term by term, and differences that lose them at once
lockstep.py   the run itself: every op on the card is run and judged
against.py    the formats of the other run
engine.py     products in the chip's own order of sums
parting.py    how far the runs are apart
trouble.py    what was found
losing.py     loss scales and skipped steps
run.py        a script in lock-step
fix.py        changes applied to a script from outside
retry.py      each fix tried in a process of its own
verdict.py    all findings together: which matter
screen.py     the report on a terminal
document.py   the same as JSON
"""
