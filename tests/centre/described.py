"""Centres for tests: small ones with a given step, so that only the centre is at work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suiren.centre.build import centre_of
from suiren.centre.site import Centre

PRICES = """
[prices]
node = 400e3
switch = 100e3
optic = 1e3
rack = 10e3
building_per_kw = 10e3
storage_per_tb = 1e3
electricity_per_kwh = 0.5
staff_per_year = 1e6
maintenance_per_cent = 3
years = 5
building_years = 15
discount_per_cent = 4
"""
GIVEN_STEP = """
[[job]]
name = "given"
steps = 100e3
step_s = 20
step_cards = 112
card_w = 300
checkpoint_bytes = 2e11
"""
#: Two heads, so that a search has little to price.
TWO_HEADS = Path(__file__).with_name("two_heads.json")
MODEL = f"""
[[job]]
model = "{TWO_HEADS}"
tokens = 1e12
global_batch = 256
layout = {{tp = 1, pp = 1, micro_batch = 2, recompute = "full"}}
"""


def text(job: str = GIVEN_STEP, prices: str = PRICES, goal: str = "", **tables: str) -> str:
    """A file of 16 nodes t21x8, two of them spares; a keyword is a table and its lines."""
    lines = {
        "machines": "nodes = 16", "power": "pue = 1.2", "failures": "spare_nodes = 2",
        "network": "nics = 4\nnic_bytes_per_s = 25e9", **tables,
    }  # fmt: skip
    lines["machines"] = 'name = "t21x8"\n' + lines["machines"]
    tabled = "\n".join(f"[{name}]\n{body}" for name, body in lines.items())
    wanted = f"[goal]\n{goal}" if goal else ""
    return f'title = "small"\ncurrency = "CNY"\n{tabled}\n{prices}\n{job}\n{wanted}\n'


def centre(**given: Any) -> Centre:
    """The centre of such a file."""
    return centre_of(text(**given), "small.toml")
