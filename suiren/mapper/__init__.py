"""PROGRAM MEETS MACHINE: what a call asks, as kernels, and what they take on a card.

    call ──▶ families (kernels: products, lanes, bytes) ──▶ price (card) ──▶ Price ──▶ step

`families` knows no chip and `hw` no op; `price.py` is where they meet. The seam for an
exact simulation of kernels is `price_kernel`: it alone turns a `Kernel` into seconds.
"""
