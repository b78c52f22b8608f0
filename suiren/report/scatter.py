"""A scatter plot for the terminal: predicted over measured time, both logarithmic."""

from __future__ import annotations

from rich.text import Text

from suiren.truth.predict import Prediction

#: More points than this are thinned evenly.
MOST_POINTS = 4000


def scatter(found: list[Prediction], width: int = 78, height: int = 22) -> Text | None:
    """The picture, or None if there are fewer than two points."""
    points = [(p.row.measured_s, p.seconds) for p in found if p.row.measured_s and p.seconds]
    if len(points) < 2:
        return None
    import plotext

    step = max(1, len(points) // MOST_POINTS)
    points = points[::step]
    measured = [m * 1e6 for m, _ in points if m]
    predicted = [s * 1e6 for _, s in points if s]
    low, high = min(*measured, *predicted), max(*measured, *predicted)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    plotext.xscale("log")
    plotext.yscale("log")
    plotext.plot([low, high], [low, high], marker=".")
    plotext.scatter(measured, predicted, marker="braille")
    plotext.xlabel("measured, µs")
    plotext.ylabel("predicted, µs")
    return Text.from_ansi(plotext.build())
