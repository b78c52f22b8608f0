"""`suiren chips`: the catalogue; `suiren chips t21`: one card; `suiren chips compare a b`."""

from __future__ import annotations

import click

from suiren.commands.ask import screen
from suiren.hw.chipfile import BadChipFile
from suiren.hw.load import resolve_card
from suiren.hw.names import UnknownChip
from suiren.hw.spec import Card


@click.command()
@click.argument("names", nargs=-1)
def chips(names: tuple[str, ...]) -> None:
    """List the catalogue, show one chip with every source, or compare several.

    \b
    suiren chips                          all of them
    suiren chips t21                      one, every fact with its source
    suiren chips compare t21 a100 h100    side by side
    """  # noqa: D301 - click reads the control character
    from suiren.hw import show
    from suiren.hw.catalog import CARDS

    if not names:
        screen.print(show.chips_table(list(CARDS.values())))
    elif names[0] == "compare":
        if len(names) < 3:
            raise click.UsageError(
                "compare needs at least two chips: suiren chips compare t21 a100"
            )
        screen.print(show.compare_table([_card(name) for name in names[1:]]))
    else:
        for name in names:
            screen.print(show.card_page(_card(name)))


def _card(name: str) -> Card:
    try:
        return resolve_card(name)
    except (UnknownChip, BadChipFile) as problem:
        raise click.UsageError(str(problem)) from None
