"""A user's own chip: a TOML file with the catalogue's fields, or a Python file defining `CARD`.

A number in TOML is plain (`clock_hz = 1.3e9`, then assumed, with the file as source) or
`{ value = 1.3e9, source = "datasheet", kind = "published" }`. `based_on = "t21"` takes
over everything from a card of the catalogue and replaces only what the file gives.
"""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from suiren.hw.catalog.block import CardBlock, ChipBlock
from suiren.hw.catalog.build import card as build_card
from suiren.hw.catalog.build import chip as build_chip
from suiren.hw.check import faults
from suiren.hw.chipfile import BadChipFile, CardFile, Number, numbers_of, read_tables
from suiren.hw.fact import Fact
from suiren.hw.families import behaviour
from suiren.hw.names import UnknownChip, find_card
from suiren.hw.pace import Pace
from suiren.hw.spec import Card, Chip, Link

#: A printed peak holds only while these do.
_MAKES_PEAK = frozenset({"cores", "clock_hz", "vector_clock_hz", "chip"})
_FILLED_FOR_CARD = frozenset({"source", "name", "title", "year", "form", "chip"})
_FILLED_FOR_CHIP = frozenset({"source", "name", "title", "year", "vendor", "family"})


def resolve_card(text: str) -> Card:
    """The card that `--on TEXT` means: a chip file if it is a path, else a card's name."""
    if text.endswith((".toml", ".py")) or Path(text).is_file():
        return load_card(text)
    return find_card(text)


def load_card(path: str | Path) -> Card:
    """The card a chip file describes; raises `BadChipFile` with a sentence per fault."""
    file = Path(path)
    if not file.is_file():
        raise BadChipFile(str(file), ["there is no such file"])
    card = _from_python(file) if file.suffix == ".py" else _from_toml(file)
    found = faults(card)
    if found:
        raise BadChipFile(str(file), found)
    return card


def _from_python(file: Path) -> Card:
    spec = importlib.util.spec_from_file_location(f"chip_file_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise BadChipFile(str(file), ["it cannot be read as Python"])
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"running it raised {type(error).__name__}: {error}"
        raise BadChipFile(str(file), [reason]) from error
    card = getattr(module, "CARD", None)
    if card is None:
        raise BadChipFile(str(file), ["it defines no CARD, a suiren.hw.spec.Card"])
    if not isinstance(card, Card):
        reason = f"CARD is {type(card).__name__}; it must be a suiren.hw.spec.Card"
        raise BadChipFile(str(file), [reason])
    return card


def _from_toml(file: Path) -> Card:
    try:
        text = file.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error).replace("at end of", f"at line {len(text.splitlines())}, the end of")
        raise BadChipFile(str(file), [f"it is not TOML: {reason}"]) from None
    except UnicodeDecodeError as error:
        raise BadChipFile(str(file), [f"it is not UTF-8 text: {error}"]) from None
    parsed = read_tables(str(file), tables)
    return _from_scratch(file, parsed) if parsed.based_on is None else _based(file, parsed)


def _based(file: Path, parsed: CardFile) -> Card:
    """The card named by `based_on` with what the file gives in its place."""
    try:
        base = find_card(parsed.based_on or "")
    except UnknownChip as error:
        raise BadChipFile(str(file), [f"based_on: {error}"]) from None
    given = _given(parsed, file.name)
    given.setdefault("name", file.stem.lower())
    given.setdefault("title", given["name"])
    given.setdefault("aliases", ())
    if "chip" in given:
        given["chip"] = _chip_over(base.chip, given["chip"])
    if "pace" in given:
        given["pace"] = replace(base.pace, **given["pace"])
    if given.keys() & _MAKES_PEAK:
        given.setdefault("printed_flop_per_s", {})
    elif "printed_flop_per_s" in given:
        given["printed_flop_per_s"] = {**base.printed_flop_per_s, **given["printed_flop_per_s"]}
    return replace(base, **given)


def _chip_over(base: Chip, given: dict[str, Any]) -> Chip:
    """The base chip with the file's fields; MACs are replaced format by format."""
    for engine in ("matrix", "vector"):
        if engine in given:
            given[engine] = {**getattr(base, engine), **given[engine]}
    return replace(base, **given)


def _from_scratch(file: Path, parsed: CardFile) -> Card:
    """A card of which the file gives every field that has no rule to fill it."""
    given = _given(parsed, file.name)
    chip = given.get("chip", {})
    missing = sorted(CardBlock.__required_keys__ - _FILLED_FOR_CARD - given.keys())
    missing += sorted(
        f"chip.{name}" for name in ChipBlock.__required_keys__ - _FILLED_FOR_CHIP - chip.keys()
    )
    if missing:
        them, are = ("them", "are") if len(missing) > 1 else ("it", "is")
        reason = f"{', '.join(missing)} {are} missing; give {them}, or inherit {them} with based_on"
        raise BadChipFile(str(file), [reason])
    plain = {"source": file.name, "name": file.stem.lower(), "year": given.get("year", 2025)}
    plain["title"] = given.get("title", given.get("name", plain["name"]))
    own = {"vendor": "own", "family": "default"}
    given["chip"] = build_chip(**{**plain, **own, **chip})
    given["printed"] = given.pop("printed_flop_per_s", {})
    if "pace" in given:
        given["pace"] = replace(behaviour(given["chip"].family).pace, **given["pace"])
    return build_card(**{**plain, "form": "card", **given})


def _given(parsed: CardFile, source: str) -> dict[str, Any]:
    """The fields the file gives, as `Card` wants them; a table `[chip]` stays a dict."""
    facts = {name: _fact(number, source) for name, number in numbers_of(parsed).items()}
    given = _filled(parsed, Card, facts, "")
    if parsed.chip is not None:
        given["chip"] = _filled(parsed.chip, Chip, facts, "chip.")
    if parsed.pace is not None:
        given["pace"] = _filled(parsed.pace, Pace, facts, "pace.")
    if parsed.link is not None:
        ports, rate = facts["link.ports"], facts["link.bytes_per_s"]
        given["link"] = Link(name=parsed.link.name, ports=ports, bytes_per_s=rate)
    return given


def _filled(table: Any, shape: type, facts: dict[str, Fact], prefix: str) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for name in (field.name for field in fields(shape)):
        value = getattr(table, name, None)
        if value is None or name in ("chip", "link", "pace"):
            continue
        if isinstance(value, Number):
            filled[name] = facts[prefix + name]
        elif isinstance(value, dict):
            filled[name] = {key: facts[f"{prefix}{name}.{key}"] for key in value}
        elif isinstance(value, list):
            filled[name] = frozenset(value) if name == "lacks" else tuple(value)
        else:
            filled[name] = value
    return filled


def _fact(number: Number, source: str) -> Fact:
    return Fact(number.value, number.source or source, number.kind)
