"""Where the parts of a model come from when they were traced and not listed by formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from suiren.fleet.part import Part

if TYPE_CHECKING:
    from suiren.fleet.share import Share


class Source(Protocol):
    """Parts of a model for a share of it, nothing computed again."""

    def layer(self, share: Share, experts: bool, cross: bool) -> Part:
        """One layer."""

    def embedding(self, share: Share) -> Part:
        """What comes before the layers."""

    def head(self, share: Share) -> Part:
        """What comes after them, the loss included."""
