"""THE PROGRAM: what was asked, never where.

    script ──▶ calls (distinct) + events (in order) + contexts (phase, module path)

A `Program` prints as text and parses back (`text.py`); it knows no chip.
"""
