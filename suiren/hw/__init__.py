"""THE MACHINE: frozen facts, each with its source.

fact.py (a number and where it was read) · spec.py (Chip, Card, Node) · catalog/ (all of them)
check.py (sums that must come out) · names.py (from a name to a card) · load.py (your own chip)
"""
