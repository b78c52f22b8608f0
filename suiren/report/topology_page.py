"""A topology as one HTML page that needs no network: the graph as SVG, the tables below."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from suiren.hw.cluster import Cluster
from suiren.hw.wiring import topology_of
from suiren.report.topology import TopologyReport
from suiren.report.topology_svg import colour_of, svg
from suiren.units import GB, show_bytes, show_time


def page_html(report: TopologyReport, cluster: Cluster) -> str:
    """Render the page; the same cluster gives the same bytes."""
    topology = topology_of(cluster.node)
    media = topology.media()
    return _template().render(
        report=report,
        style=Markup(_read("page.css")),
        picture=Markup(svg(topology)),
        media=[(medium, colour_of(medium, media)) for medium in media],
        gb=lambda rate: f"{rate / GB:,.4g}",
        time=show_time,
        size=show_bytes,
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("topology.html"))


def _read(name: str) -> str:
    return files("suiren.report").joinpath(name).read_text(encoding="utf-8")
