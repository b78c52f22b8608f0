"""The page as one file: the same front end, with what it shows inside."""

from __future__ import annotations

import json
from itertools import permutations

from suiren.history.digest import to_text
from suiren.view.kinds import STEPS
from suiren.view.page import page_html
from suiren.view.shelf import Shelf

#: Records a file holds where none is named, the newest.
USUAL = 8
#: Pairs of a file that can be compared, since each is worked out before.
MOST_PAIRS = 30


def filed_html(shelf: Shelf) -> str:
    """The named items, or the newest records, as a page that needs no server.

    Raises CannotShow and UnknownRecord as the shelf does.
    """
    ids = shelf.named or [item.id for item in shelf.items()[:USUAL]]
    items = [shelf.item(name) for name in ids]
    data = {"list": to_text({"rows": [item.row() for item in items], "named": ids})}
    data |= {f"item/{name}": shelf.text(name) for name in ids}
    kinds = {name: shelf.item(name).kind for name in ids}
    pairs = [pair for pair in permutations(ids, 2) if _alike(*(kinds[name] for name in pair))]
    for a, b in pairs[:MOST_PAIRS]:
        data[f"compare/{a}/{b}"] = json.dumps(shelf.comparison(a, b))
    return page_html(data)


def _alike(a: str, b: str) -> bool:
    return a == b or {a, b} == STEPS
