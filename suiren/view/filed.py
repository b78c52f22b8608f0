"""The page as one file: the same front end, with what it shows inside."""

from __future__ import annotations

import json
from itertools import permutations

from suiren.history.digest import to_text
from suiren.view.page import page_html
from suiren.view.shelf import Shelf

#: Records a file holds where none is named, the newest.
USUAL = 8
#: Items of a file that can be compared with each other, since each pair is worked out before.
MOST_COMPARED = 6


def filed_html(shelf: Shelf) -> str:
    """The named items, or the newest records, as a page that needs no server.

    Raises CannotShow and UnknownRecord as the shelf does.
    """
    ids = shelf.named or [item.id for item in shelf.items()[:USUAL]]
    items = [shelf.item(name) for name in ids]
    data = {"list": to_text({"rows": [item.row() for item in items], "named": ids})}
    data |= {f"item/{name}": shelf.text(name) for name in ids}
    pairs = permutations(ids[:MOST_COMPARED], 2)
    data |= {f"compare/{a}/{b}": json.dumps(shelf.comparison(a, b)) for a, b in pairs}
    return page_html(data)
