"""The items a page offers: named ones first, then the history; each worked out once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from suiren.history.digest import to_text
from suiren.history.names import HistoryUnusable
from suiren.history.store import History
from suiren.view.compare import compared
from suiren.view.payload import payload
from suiren.view.sources import CannotShow, Item, item_of_file, item_of_record

#: Records listed.
MOST_LISTED = 500
#: Items whose pictures are kept.
MOST_KEPT = 8


class Shelf:
    """Items by id."""

    def __init__(
        self, names: Sequence[str], *, on: str = "t21", history: Path | None = None
    ) -> None:
        """Reads what is named; the rest of the history is listed when asked for.

        Raises CannotShow for a file, UnknownRecord for a record that is not there.
        """
        self._history = _history(history)
        self._files: dict[str, Item] = {}
        self.named: list[str] = []
        for name in names:
            self.named.append(self._take(name, on))
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def items(self) -> list[Item]:
        """Files in the order given, then records, the newest first."""
        found = list(self._files.values())
        if self._history is not None:
            history = self._history
            found += [item_of_record(history, r) for r in history.records(limit=MOST_LISTED)]
        return found

    def listing(self) -> dict[str, Any]:
        """Rows of all items, and the ids of those named on the command line."""
        return {"rows": [item.row() for item in self.items()], "named": self.named}

    def text(self, name: str) -> str:
        """The payload of an item, as JSON."""
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                found = self._kept[name] = to_text(payload(self.item(name)))
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return found

    def comparison(self, a: str, b: str) -> dict[str, Any]:
        """What changed from one item to another."""
        return compared(self.item(a), self.item(b))

    def item(self, name: str) -> Item:
        """The item of an id; raises CannotShow or UnknownRecord."""
        if name in self._files:
            return self._files[name]
        if self._history is None:
            raise CannotShow(f"there is no {name!r} to look at: the history is switched off")
        return item_of_record(self._history, self._history.find(name))

    def _take(self, name: str, on: str) -> str:
        path = Path(name)
        if path.is_file():
            item = item_of_file(path, len(self._files) + 1, on)
            self._files[item.id] = item
            return item.id
        if path.suffix or "/" in name:
            raise CannotShow(f"there is no file {name!r} in {Path.cwd()}")
        return self.item(name).id


def _history(path: Path | None) -> History | None:
    try:
        return History(path)
    except HistoryUnusable:
        return None
