"""Why a row has no prediction."""

from __future__ import annotations


class NotPredicted(Exception):  # noqa: N818 - an answer, not a fault
    """The message is the row's status."""
