"""Measured truth: what others measured, what Suiren predicts for it, and how far the two are apart.

rows.py        a file of measurements, read row by row
protocol.py    how each published table was measured: what lay in caches, what the host added
predict.py     a row on a card: seconds, or why not
products.py attention.py streams.py convolutions.py collectives.py   one family of rows each
machines.py engines.py   the boxes of collectives, and serving engines' own kernels
score.py       errors with sign, by chip, op and size
nearest.py     interpolation between measured rows, where a user asks for it
run.py         a whole file, in parallel
"""
